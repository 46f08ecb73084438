import { CONDITION_REASONS, EVENT_REASONS } from "../../mod/agent/reasons.ts";
import { code, origin, table } from "./markdown.ts";

const SOURCE = "mod/agent/reasons.ts";

/** docs/reference/events.md */
export function eventsPage(): string {
  const rows = Object.entries(EVENT_REASONS).map(([reason, { about, meaning, action }]) => [
    code(reason),
    about.map((kind) => kind === "Pod" ? "pod" : "claim").join(", "),
    meaning,
    action,
  ]);
  return `# Events

${origin(SOURCE)}

The agent tells users by Events of type \`Warning\`; \`kubectl describe pod\` and
\`kubectl describe resourceclaim\` show them. Repeats within ten minutes increase the event's count.
[Troubleshooting](../how-to/troubleshooting.md) goes through them by symptom.

${table(["reason", "on", "what it means", "what to do"], rows)}

Kubernetes itself also emits events that concern networks:

${
    table(["reason", "from", "what it means"], [
      [
        "`FailedScheduling`",
        "the scheduler",
        "No node has devices that match the claim; the message says how many nodes the scheduler checked.",
      ],
      [
        "`FailedPrepareDynamicResources`",
        "the kubelet",
        "The agent refused the claim, with the field and the cause; or the kubelet does not know the driver.",
      ],
      [
        "`Failed`, with `CreateContainerError`",
        "the kubelet",
        "A container waits for its networks. The message names the network, the claim and the cause.",
      ],
    ])
  }
`;
}

/** docs/reference/conditions.md */
export function conditionsPage(): string {
  const rows = Object.entries(CONDITION_REASONS).map(([reason, { status, meaning, action }]) => [
    code(status),
    code(reason),
    meaning,
    action,
  ]);
  return `# Conditions of claims

${origin(SOURCE)}

Each allocated device of the driver has an entry in the claim's \`status.devices\` once its
state is known, with one condition of the type \`Ready\`:

\`\`\`
kubectl get resourceclaim CLAIM -o jsonpath='{.status.devices[*].conditions}'
\`\`\`

${table(["status", "reason", "what it means", "what to do"], rows)}

\`lastTransitionTime\` changes only with the status, even across restarts of the agent.

The entry also has these fields:

${
    table(["field", "what"], [
      ["`driver`, `pool`, `device`, `shareID`", "the allocated device that the entry describes"],
      [
        "`data`",
        "the CNI result, as the plugin returned it; left out if it exceeds 10 KiB, as the condition's message then says",
      ],
      ["`networkData`", "`interfaceName`, `hardwareAddress` and `ips` of the interface in the pod"],
    ])
  }

If several pods share a claim, the entry shows the interface of the first one, and is \`Ready\` if no
attachment has failed or is lost.
`;
}
