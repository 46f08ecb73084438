import { PROBE_PORT } from "../../probe/protocol.ts";
import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";

export const PROBE = {
  name: "probe",
  summary: "Measure a network from inside a pod, for the command test.",
  description: [
    "Runs in the pods that the command test creates. Answers the other pods of the test by TCP and UDP, " +
    "waits for its task, measures, and prints the results as lines of JSON. Needs no privileges.",
  ],
  flags: {
    run: {
      name: "run",
      takes: "ID",
      help: "The test that it belongs to. It does not answer pods of other tests.",
      required: true,
      parse: take.name,
    },
    name: {
      name: "name",
      takes: "NAME",
      help: "Its name among the pods of the test.",
      required: true,
      parse: take.name,
    },
    task: {
      name: "task",
      takes: "PATH",
      path: "file",
      help: "File that will contain its task.",
      required: true,
      parse: take.absolutePath,
    },
    port: {
      name: "port",
      takes: "PORT",
      help: "Port of TCP and UDP.",
      default: `${PROBE_PORT}`,
      parse: take.wholeNumber({ least: 1, most: 65_535 }),
    },
    limit: {
      name: "limit",
      takes: "DURATION",
      help: "Time limit after which it always ends.",
      default: "15m",
      parse: take.duration,
    },
  },
  examples: [
    {
      what: "As the pods of test have it:",
      line: "network-dra probe --run x7k2p --name a --task /etc/network-dra/task",
    },
  ],
  exitCodes: { 0: "It was told to end, or its time is over.", ...EXIT_CODES },
} as const satisfies Command;
