import { type Command, EXIT_CODES } from "../command.ts";
import { RUN_SETTINGS } from "./run.ts";

export const FORGET = {
  name: "forget",
  summary: "Forget a claim that cannot be detached.",
  description: [
    "Asks this node's agent to forget a claim whose networks cannot be detached. The agent " +
    "then removes its records of the claim. Waits for the agent's answer.",
  ],
  argument: {
    name: "CLAIM",
    help: "The claim, as NAMESPACE/NAME or by its UID.",
    least: 1,
    most: 1,
  },
  flags: { stateDir: RUN_SETTINGS.stateDir },
  examples: [
    { what: "By its name:", line: "network-dra forget default/lan" },
    {
      what: "In the agent's pod:",
      line: "kubectl exec -n kube-system POD -- /network-dra forget default/lan",
    },
  ],
  exitCodes: { 0: "The agent has forgotten the claim.", ...EXIT_CODES },
} as const satisfies Command;
