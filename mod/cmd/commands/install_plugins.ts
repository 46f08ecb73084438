import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";

export const INSTALL_PLUGINS = {
  name: "install-plugins",
  summary: "Copy CNI plugins into a folder that lacks them.",
  description: [
    "Copies the CNI plugins of one folder into another. Plugins that someone else installed there " +
    "are kept as they are.",
  ],
  flags: {
    from: {
      name: "from",
      takes: "PATH",
      path: "folder",
      help: "Folder that contains the plugins.",
      required: true,
      parse: take.absolutePath,
    },
    to: {
      name: "to",
      takes: "PATH",
      path: "folder",
      help: "Folder that lacks them.",
      required: true,
      parse: take.absolutePath,
    },
  },
  examples: [
    {
      what: "From an image into the node's folder:",
      line: "network-dra install-plugins --from /plugins --to /opt/cni/bin",
    },
  ],
  exitCodes: { 0: "The folder has all plugins.", ...EXIT_CODES },
} as const satisfies Command;
