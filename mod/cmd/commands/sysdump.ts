import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";
import { CLUSTER_FLAGS } from "./cluster.ts";

export const SYSDUMP = {
  name: "sysdump",
  summary: "Collect what a bug report needs into one archive.",
  description: [
    "Writes a .tar.gz with the cluster's objects of this driver, the agents' logs and status, what " +
    "cluster-status says, and explain of each pod whose network is missing. Its index.json lists what is in it, " +
    "and what could not be fetched and why.",
    "Secrets, tokens and keys are always left out. --redact also replaces the names of namespaces, " +
    "pods, claims and nodes, and IP and MAC addresses, the same ones by the same placeholder.",
    "Reads the cluster with your own kubeconfig and rights, and changes nothing.",
  ],
  flags: {
    output: {
      name: "output",
      short: "o",
      takes: "FILE",
      path: "file",
      help: "The archive to write.",
      defaultIs: "network-dra-sysdump-DATE-TIME.tar.gz",
      parse: take.filePath,
    },
    node: {
      name: "node",
      takes: "NAME",
      help: "Only what concerns this node, its agent and its pods.",
      defaultIs: "all nodes, and at most 50 agents",
      parse: take.name,
    },
    redact: {
      name: "redact",
      help: "Replace names and addresses.",
      default: "false",
      parse: take.yesOrNo,
    },
    since: {
      name: "since",
      takes: "TIME",
      help: "How old the lines of logs may be.",
      default: "1h",
      parse: take.age,
    },
    timeout: {
      name: "timeout",
      takes: "TIME",
      help: "After this, the archive is completed with what there is.",
      default: "5m",
      parse: take.duration,
    },
    ...CLUSTER_FLAGS,
  },
  examples: [
    { what: "Collect everything:", line: "kubectl network-dra sysdump" },
    {
      what: "Collect what concerns one node, for a public bug report:",
      line: "kubectl network-dra sysdump --node node-1 --redact -o report.tar.gz",
    },
  ],
  exitCodes: {
    0: "The archive is complete.",
    1: "There is no archive: the cluster could not be read, or the file could not be written.",
    2: EXIT_CODES[2],
    3: "The archive is written, but something could not be fetched; it is listed.",
  },
} as const satisfies Command;
