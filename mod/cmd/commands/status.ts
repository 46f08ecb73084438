import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";
import { OUTPUT_FLAG } from "./output_flag.ts";
import { RUN_SETTINGS } from "./run.ts";

export const STATUS = {
  name: "status",
  summary: "Show what is attached on this node, and why not.",
  description: [
    "Shows the agent of this node, its settings, the devices, and which pod has which network, on which " +
    "interface, with which addresses; what is wrong comes first. Asks the running agent. If no agent " +
    "answers within 5 seconds, says so and shows what its records contain, without changing them. " +
    "Needs root.",
  ],
  argument: {
    name: "POD|CLAIM|INTERFACE",
    help: "Show only this pod or claim, by NAME, NAMESPACE/NAME or UID, or this interface.",
    least: 0,
    most: 1,
  },
  flags: {
    ...OUTPUT_FLAG,
    watch: {
      name: "watch",
      short: "w",
      help: "Continue until Ctrl-C: redraw a terminal, print changes elsewhere.",
      default: "false",
      parse: take.yesOrNo,
    },
    stateDir: RUN_SETTINGS.stateDir,
    kubeletDir: RUN_SETTINGS.kubeletDir,
    driverName: RUN_SETTINGS.driverName,
  },
  examples: [
    { what: "On the node:", line: "network-dra status" },
    {
      what: "In the agent's pod:",
      line: "kubectl exec -n kube-system ds/network-dra -- /network-dra status",
    },
    { what: "One pod, with all columns:", line: "network-dra status default/web -o wide" },
    {
      what: "Print the addresses of a claim's networks:",
      line: "network-dra status default/lan -o json | jq '.attachments[].addresses'",
    },
  ],
  exitCodes: {
    0: "An agent answers, and nothing of what is shown is wrong.",
    1: "Nothing could be shown: a name is unknown, or several have it.",
    2: EXIT_CODES[2],
    3: "Something is wrong; it is listed first.",
    4: "No agent answers. What is shown is from its records.",
  },
} as const satisfies Command;
