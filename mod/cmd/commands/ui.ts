import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";
import { CLUSTER_FLAGS } from "./cluster.ts";

export const UI = {
  name: "ui",
  summary: "Show the networks of a cluster as a live map in the browser.",
  description: [
    "Serves a web page on 127.0.0.1 and prints its address. The page shows nodes, interfaces, networks " +
    "and pods, and changes as they do: select a pod to see the way of its networks as `explain` " +
    "shows it, and what to do.",
    "Reads the cluster with your own kubeconfig and rights, and changes nothing. The address holds a " +
    "token that is new at each start: who does not have it gets no data. Ends at Ctrl+C.",
  ],
  flags: {
    port: {
      name: "port",
      takes: "NUMBER",
      help: "Port of 127.0.0.1 for the page.",
      default: "0",
      defaultIs: "one that is free",
      parse: take.wholeNumber({ least: 0, most: 65_535 }),
    },
    ...CLUSTER_FLAGS,
  },
  examples: [
    { what: "Show the cluster of the current context:", line: "kubectl network-dra ui" },
    {
      what: "On a machine that you reach by SSH, with a port that you forward:",
      line: "network-dra ui --port 8478",
    },
  ],
  exitCodes: {
    0: "It was ended by a signal.",
    1: "The page cannot be served, such as when the port is in use.",
    2: EXIT_CODES[2],
  },
} as const satisfies Command;
