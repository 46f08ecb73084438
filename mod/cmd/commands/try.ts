import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";
import { FILE_FLAGS } from "./files.ts";
import { outputFlag } from "./output_flag.ts";

export const TRY = {
  name: "try",
  summary: "Try claims and pods on a simulated node.",
  description: [
    "Runs the claims and pods of YAML files on a simulated node, without a cluster: with real " +
    "network namespaces and real CNI plugins. Prints the claims in their final state, and then tears down " +
    "the node. Needs root.",
  ],
  argument: {
    name: "FILE",
    help:
      "YAML file with claims, DeviceClasses, pods and workloads. A dash (-) reads standard input.",
    least: 1,
    most: "any",
    path: "file",
  },
  flags: {
    ...outputFlag("Format in which the claims are printed.", "yaml", "json"),
    keep: {
      name: "keep",
      help: "Keep the node until Ctrl-C, and print how to enter the network of each pod.",
      default: "false",
      parse: take.yesOrNo,
    },
    ...FILE_FLAGS,
    cniPath: {
      name: "cni-path",
      takes: "PATH[:PATH…]",
      path: "folder",
      help: "Folders that contain the CNI plugins.",
      defaultIs: "this machine's, or Debian's",
      parse: take.searchPath,
    },
    networkDir: {
      name: "network-dir",
      takes: "PATH",
      path: "folder",
      help: "Folder of CNI configurations that claims can name.",
      parse: take.filePath,
    },
    node: {
      name: "node",
      takes: "PATH",
      path: "file",
      help: "File that describes the interfaces of the node, and other nodes.",
      parse: take.filePath,
    },
    verbose: {
      name: "verbose",
      help: "Also print the agent's log.",
      default: "false",
      parse: take.yesOrNo,
    },
  },
  examples: [
    { what: "Try a claim and its pods:", line: "network-dra try lan.yaml pods.yaml" },
    { what: "Try what a chart renders:", line: "helm template web ./chart | network-dra try -" },
    {
      what: "With a node's policy and the interfaces of a described node:",
      line: "network-dra try --config config.yaml --node node.yaml lan.yaml",
    },
    {
      what: "With the networks of an administrator, which claims name:",
      line: "network-dra try --network-dir networks lan.yaml",
    },
    {
      what: "Print only the addresses that the devices of a claim got:",
      line: "network-dra try -o json lan.yaml | jq '.status.devices[].networkData.ips'",
    },
  ],
  exitCodes: {
    0: "All pods ran, and nothing was left behind.",
    ...EXIT_CODES,
    3: "Everything that could be tried works, but some things could not be tried.",
  },
} as const satisfies Command;
