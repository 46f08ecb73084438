import { configSchema } from "../../mod/cmd/config_schema.ts";
import { CLUSTER_NETWORKS, COMMON, IPAM, PLUGINS } from "../../mod/claim/policy_builtin.ts";
import { code, codes, origin, table } from "./markdown.ts";

interface Schema {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly default?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** docs/reference/configuration.md */
export function configurationPage(): string {
  const { properties = {}, $defs } = configSchema() as unknown as Schema & {
    readonly $defs: Readonly<Record<string, Schema>>;
  };
  const { interfaces, policy: _, ...settings } = properties;
  return `# The agent's configuration file

${origin("mod/cmd/config_schema.ts")}

\`network-dra run --config FILE\` reads a YAML file; the chart writes it from its value \`config\`. A flag
overrides its environment variable, which overrides the file. A setting that the agent does not know
is refused at the start, wherever it stands.

[config.schema.json](../config.schema.json) is a JSON Schema of the file. Editors with a YAML language
server check a file that begins with this line:

\`\`\`yaml
# yaml-language-server: $schema=docs/config.schema.json
\`\`\`

## Settings

Each setting is also a [flag of \`run\`](command-line.md).

${
    table(
      ["setting", "default", "what"],
      Object.entries(settings).map(([key, { default: fallback, description = "" }]) => [
        code(key),
        code(fallback),
        description,
      ]),
    )
  }

## interfaces

These lists of names, with \`*\` and \`?\`, determine which of the node's interfaces are devices.

${
    table(
      ["setting", "what"],
      rows(interfaces!.properties!, {
        include: "only these, whatever they are",
        exclude: "never these",
      }),
    )
  }

[Choose an interface](../how-to/choose-an-interface.md) says which interfaces are devices by default.

## policy

The policy limits what claims may ask for, in all namespaces. \`policy.namespaces\` is a list of the
same settings, each with \`names\`: the first entry whose \`names\` match the claim's namespace overrides
the others.
[Policies for tenants](../how-to/tenant-policies.md) shows how to use them, and
[Security](../security.md) explains what an attacker would gain from each field that is refused.

${
    table(
      ["setting", "what"],
      rows($defs.settings!.properties!, {
        trustClaims: "`true`: claims are trusted like classes, and nothing below applies",
        inline:
          "`false`: claims may not contain a CNI configuration; they only name networks (`networkName`)",
        networks: "which of the administrator's networks claims may name; patterns",
        trustedDefinitions:
          "namespaces whose NetworkAttachmentDefinitions are the administrator's; patterns; those of " +
          "others are held to the policy as if claims contained them",
        reservedNetworks:
          "names that claims may not give to their own networks; patterns; the default is below",
        refusedAddresses: "networks whose addresses no pod gets through a claim",
        capabilities: "a rule for each capability argument",
        plugins:
          "a rule for each plugin, by its type; `*` applies to all plugins that are not named",
        ipam: "the same for IPAM plugins",
      }),
    )
  }

A rule for a plugin is \`true\` (all of its fields), \`false\` (the plugin is refused), or a rule for each
field. A rule for a field or an argument is \`true\` (any value), \`false\` (no value), or a list of what is
allowed: values, patterns with \`*\` and \`?\`, \`{from: NUMBER, to: NUMBER}\`, or \`{allocated: true}\` (the
interface of the allocated device).

By default, claims cannot give their networks these names: ${codes(CLUSTER_NETWORKS)}.

By default, claims may use these plugins. The table lists the fields that the policy knows, in addition
to ${codes(Object.keys(COMMON))}, which every plugin has:

${
    table(
      ["plugin", "fields"],
      Object.entries({ ...PLUGINS, ...IPAM }).map(([type, { fields }]) => [
        code(type) + (type in IPAM ? " (IPAM)" : ""),
        codes(Object.keys(fields).filter((field) => type in IPAM || !(field in COMMON))) || "none",
      ]),
    )
  }
`;
}

/** Each property with what is said of it; throws where one has no words, or words have no property. */
function rows(
  properties: Readonly<Record<string, unknown>>,
  words: Readonly<Record<string, string>>,
): string[][] {
  const known = Object.keys(properties);
  const other = [...known, ...Object.keys(words)].find((key) =>
    !(key in properties) || !(key in words)
  );
  if (other !== undefined) throw new Error(`deploy/reference/configuration.ts: ${other}`);
  return known.map((key) => [code(key), words[key]!]);
}
