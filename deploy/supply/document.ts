/** docs/dependencies.md from the lock file (`deno task dependencies`). */
import { basePackages } from "../image/base.ts";
import { type Package, readPackages } from "./packages.ts";

const FILE = new URL("../../docs/dependencies.md", import.meta.url);

/** Why each direct dependency is there. */
const WHY: Readonly<Record<string, string>> = {
  "@bufbuild/buf": "compiles the `.proto` files (`deno task gen`)",
  "@bufbuild/protobuf": "protobuf messages of NRI, ttrpc and DRA",
  "@bufbuild/protoc-gen-es": "generates `proto/gen` (`deno task gen`)",
  "@grpc/grpc-js": "the gRPC server that the kubelet calls",
  "@kubernetes/client-node": "kubeconfig and ServiceAccount credentials; nothing else of it",
  "@logtape/logtape": "logging",
  "@marcbachmann/cel-js": "selectors of devices in `try` and `lint`; the agent never loads it",
  "@opentelemetry/api": "traces (`--traces-endpoint`); the agent loads it only for that",
  "@opentelemetry/otlp-transformer": "traces in OTLP; loaded only with `--traces-endpoint`",
  "@opentelemetry/resources": "names the agent in traces; loaded only with `--traces-endpoint`",
  "@opentelemetry/sdk-trace": "the bounded queue of spans; loaded only with `--traces-endpoint`",
  "axe-core": "accessibility in the tests of `ui`",
  "cytoscape": "draws the map of `ui`, in the browser",
  "fast-check": "property tests",
  "ipaddr.js": "addresses in their canonical form",
  "playwright-core": "drives the browser in tests",
  "prom-client": "metrics in Prometheus' format",
  "valibot": "checks the journal's records",
  "yaml": "the configuration file, and the files of `try`",
};

/** The document as it must be. */
export async function dependenciesDocument(): Promise<string> {
  const packages = await readPackages();
  const users = usersOf(packages);
  const row = (each: Package) => {
    const id = `${each.name}@${each.version}`;
    const why = each.direct ? WHY[each.name] : `needed by ${users.get(id)!.join(", ")}`;
    if (!why) throw new Error(`deploy/supply/document.ts: say why ${each.name} is there`);
    return `| \`${each.name}\` | ${each.version} | ${each.licence} | ${why} |`;
  };
  const table = (chosen: readonly Package[]) =>
    ["| package | version | licence | why |", "| --- | --- | --- | --- |", ...chosen.map(row)]
      .join("\n");
  const base = basePackages("amd64").map(({ name, version }) => `\`${name}\` ${version}`);
  const shipped = packages.filter((each) => each.shipped);
  const others = packages.filter((each) => !each.shipped);
  const scripts = packages.filter((each) => each.installScript).map(({ name }) => `\`${name}\``);
  return `# Dependencies

\`deno task dependencies\` writes this page from \`deno.lock\`; a test keeps it up to date. Every package
comes from npm in one exact version, with its SHA-512 in \`deno.lock\`; \`deno.json\` keeps the lock file
frozen, so that versions change only on request (\`--frozen=false\`). Deno runs no install scripts; of these packages, ${
    scripts.join(" and ")
  } have one. \`deno task sbom\` writes the same list as
an SBOM (CycloneDX 1.6) to \`dist/network-dra.cdx.json\`.

The executable also contains Deno ${Deno.version.deno} (MIT), with V8. The image of \`deno task image\` adds
files of ${base.join(", ")} from Debian, with their SHA-256 in \`deploy/image/packages.json\`;
their licenses are in the image, below \`/usr/share/doc\`.

## In the executable

${shipped.length} packages. The bundler includes only the code that is used.

${table(shipped.filter(({ direct }) => direct))}

and, through them:

${table(shipped.filter(({ direct }) => !direct))}

## Not in the executable

${others.length} packages: tools, tests, and unused dependencies of the packages above.

${table(others.filter(({ direct }) => direct))}

and, through these and those above:

${table(others.filter(({ direct }) => !direct))}
`;
}

function usersOf(packages: readonly Package[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { name, dependencies } of packages) {
    for (const id of dependencies) users.set(id, [...users.get(id) ?? [], `\`${name}\``]);
  }
  return users;
}

if (import.meta.main) {
  await Deno.writeTextFile(FILE, await dependenciesDocument());
  // Tables are laid out as everything else is.
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", FILE.pathname] }).output();
}
