/** The software bill of materials (`deno task sbom`): CycloneDX 1.6, in JSON. */
import { Buffer } from "node:buffer";
import config from "../../deno.json" with { type: "json" };
import { basePackages } from "../image/base.ts";
import { packageUrl } from "./debian.ts";
import { type Package, readPackages } from "./packages.ts";

const FILE = new URL("../../dist/network-dra.cdx.json", import.meta.url);
const ROOT_REF = `network-dra@${config.version}`;
const RUNTIME = { name: "deno", licence: "MIT" };

/**
 * The same for the same lock file: neither time nor random number is in it.
 *
 * @param architecture that of the image, as Debian names it
 */
export async function makeSbom(architecture = "amd64") {
  const packages = await readPackages();
  const runtime = `${RUNTIME.name}@${Deno.version.deno}`;
  const base = basePackages(architecture).map(({ sha256, ...each }) => ({
    "type": "library",
    "bom-ref": packageUrl(each),
    "name": each.name,
    "version": each.version,
    "scope": "required",
    "hashes": [{ alg: "SHA-256", content: sha256 }],
    // Their licences lie in the image, below usr/share/doc.
    "purl": packageUrl(each),
  }));
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        "type": "application",
        "bom-ref": ROOT_REF,
        "name": "network-dra",
        "version": config.version,
        "licenses": [{ license: { id: config.license } }],
      },
    },
    components: [
      {
        "type": "platform",
        "bom-ref": runtime,
        "name": RUNTIME.name,
        "version": Deno.version.deno,
        "scope": "required",
        "licenses": [{ license: { id: RUNTIME.licence } }],
        "purl": `pkg:generic/${runtime}`,
      },
      ...packages.map(component),
      ...base,
    ],
    dependencies: [
      {
        ref: ROOT_REF,
        dependsOn: [
          runtime,
          ...packages.filter(({ direct }) => direct).map(refOf),
          ...base.map(({ purl }) => purl),
        ],
      },
      { ref: runtime, dependsOn: [] },
      ...packages.map((each) => ({
        ref: refOf(each),
        dependsOn: [...new Set(each.dependencies)].toSorted(),
      })),
      ...base.map(({ purl }) => ({ ref: purl, dependsOn: [] })),
    ],
  };
}

function refOf({ name, version }: Package): string {
  return `${name}@${version}`;
}

function component(each: Package) {
  const [algorithm, digest = ""] = each.integrity.split("-");
  if (algorithm !== "sha512") throw new Error(`${each.name}: a digest by ${algorithm}`);
  const isOne = /^[A-Za-z0-9.+-]+$/.test(each.licence);
  return {
    "type": "library",
    "bom-ref": refOf(each),
    "name": each.name,
    "version": each.version,
    // Whatever is not in the executable was used to build or to test it.
    "scope": each.shipped ? "required" : "excluded",
    "hashes": [{ alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") }],
    "licenses": isOne ? [{ license: { id: each.licence } }] : [{ expression: each.licence }],
    "purl": `pkg:npm/${each.name.replace("@", "%40")}@${each.version}`,
  };
}

if (import.meta.main) {
  await Deno.mkdir(new URL(".", FILE), { recursive: true });
  await Deno.writeTextFile(FILE, JSON.stringify(await makeSbom(), null, 2) + "\n");
  console.log(`wrote ${FILE.pathname}`);
}
