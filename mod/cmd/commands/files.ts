import type { Flags } from "../flag.ts";
import * as take from "../settings.ts";

/** The flags of commands that read files of Kubernetes objects. */
export const FILE_FLAGS = {
  driverName: {
    name: "driver-name",
    takes: "NAME",
    help: "Name of the DRA driver.",
    defaultIs: "the driver that the files name",
    parse: take.driverName,
  },
  config: {
    name: "config",
    takes: "PATH",
    path: "file",
    help: "Configuration file of the agent, for example with a policy.",
    parse: take.filePath,
  },
} as const satisfies Flags;
