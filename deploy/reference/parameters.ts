import { CAPABILITY_ARGUMENTS, PARAMETER_KINDS } from "../../mod/claim/parameter_kinds.ts";
import { code, codes, origin, table } from "./markdown.ts";

/** docs/reference/claim-parameters.md */
export function parametersPage(): string {
  const kinds = PARAMETER_KINDS.map(({ apiVersion, kinds, fields }) => {
    const title = apiVersion === undefined
      ? "Without apiVersion and kind"
      : `${kinds.join(" or ")} (${apiVersion})`;
    const rows = Object.entries(fields).map(([field, what]) => [code(field), what]);
    return `## ${title}\n\n${table(["field", "what"], rows)}\n`;
  }).join("\n");
  return `# Parameters of claims

${origin("mod/claim/parameter_kinds.ts")}

The opaque parameters of a claim, or of its DeviceClass, hold the CNI configuration
(\`spec.devices.config[].opaque.parameters\`, with the driver's name beside them). There are three kinds.
A field that is not listed is refused.

${kinds}
## capabilities

Arguments that the agent passes to plugins whose configuration has the capability turned on, such as
\`capabilities: { ips: true }\`. An argument that no plugin of the network accepts is refused.

${
    table(
      ["argument", "what"],
      Object.entries(CAPABILITY_ARGUMENTS).map(([name, what]) => [code(name), what]),
    )
  }

## Rules

- Interfaces without a name are called \`net1\`, \`net2\`, and so on. A claim cannot use \`eth0\` or \`lo\`,
  which the pod already has.
- A claim's configuration replaces the whole configuration of its class. Two configurations from the
  same source that apply to the same request are refused.
- If the allocated device is an interface of the node, the agent fills in \`master\`, \`device\` or \`bridge\`:
  see [Choose an interface](../how-to/choose-an-interface.md).
- The configuration in a claim is checked against the [policy](configuration.md#policy); the
  configuration in a class belongs to the administrator and is not checked.
- Parameters are checked when the kubelet prepares the claim. An error names the field and what is
  allowed, and the pod waits with the event ${codes(["FailedPrepareDynamicResources"])}.
  [\`lint\`](try-and-lint.md#lint) reports the same errors in advance.
- Each pod that shares a claim gets its own interface, all with the same name. Two shared claims that
  one pod uses need different names. The status shows the first interface and the number of pods.
- An interface of the node that moves into the pod (\`host-device\`) can be in only one pod at a time:
  the others wait, and an Event names the pod that has it.
- A claim can also be reserved for PodGroups (KEP-5729): all of their pods that name it get an interface.
- Pods on the host's network cannot claim networks.
`;
}
