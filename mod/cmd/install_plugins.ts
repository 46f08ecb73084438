import { type Installed, installPlugins } from "../cni/install_plugins.ts";
import { INSTALL_PLUGINS } from "./commands/install_plugins.ts";
import { readCommandLine } from "./flag_values.ts";
import { assertFolder } from "./given_file.ts";

/** `network-dra install-plugins`: installs the CNI plugins that a node lacks. Gives the exit code. */
export async function installPluginsCommand(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(INSTALL_PLUGINS, argv);
  for (const [name, path] of Object.entries(flags)) assertFolder(path, { at: `--${name}` });
  const installed = await installPlugins(flags);
  for (const [what, names] of Object.entries(installed) as [keyof Installed, string[]][]) {
    if (names.length > 0) console.log(`${SAYS[what]}: ${names.join(", ")}`);
  }
  return 0;
}

const SAYS: Readonly<Record<keyof Installed, string>> = {
  added: "added",
  updated: "updated",
  kept: "kept, because someone else installed them",
};
