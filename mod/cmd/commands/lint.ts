import { type Command, EXIT_CODES } from "../command.ts";
import { FILE_FLAGS } from "./files.ts";
import { outputFlag } from "./output_flag.ts";

export const LINT = {
  name: "lint",
  summary: "Check claims, classes and pods without a cluster.",
  description: [
    "Reports what the API server, the scheduler and the agent would say about claims, " +
    "DeviceClasses and pods. Needs neither root nor a network.",
  ],
  argument: {
    name: "FILE",
    help: "YAML file with Kubernetes objects. A dash (-) reads standard input.",
    least: 1,
    most: "any",
    path: "file",
  },
  flags: {
    ...outputFlag(
      "Format of the report: json for programs, sarif for code hosts.",
      "text",
      "json",
      "sarif",
    ),
    ...FILE_FLAGS,
  },
  examples: [
    { what: "Check files:", line: "network-dra lint lan.yaml pods.yaml" },
    { what: "Check what a chart renders:", line: "helm template web ./chart | network-dra lint -" },
    {
      what: "Report to a code host:",
      line: "network-dra lint -o sarif lan.yaml > network-dra.sarif",
    },
  ],
  exitCodes: { 0: "There are no errors.", 1: "There are errors.", 2: EXIT_CODES[2] },
} as const satisfies Command;
