import { flagValue } from "./flag_value.ts";
import { parseArgs } from "node:util";
import { type Installed, installPlugins } from "../cni/install_plugins.ts";
import * as take from "./settings.ts";
import { UsageError } from "./usage_error.ts";

/** `network-dra install-plugins`: puts CNI plugins that a node lacks in place. Gives the exit code. */
export async function installPluginsCommand(argv: readonly string[]): Promise<number> {
  const installed = await installPlugins(parseInstallOptions(argv));
  for (const [what, names] of Object.entries(installed) as [keyof Installed, string[]][]) {
    if (names.length > 0) console.log(`${SAYS[what]}: ${names.join(", ")}`);
  }
  return 0;
}

const SAYS: Readonly<Record<keyof Installed, string>> = {
  added: "added",
  updated: "updated",
  kept: "kept as they are, for someone else put them there",
};

/** @throws UsageError */
export function parseInstallOptions(
  argv: readonly string[],
): { readonly from: string; readonly to: string } {
  let values: { readonly from?: string; readonly to?: string };
  try {
    const options = { from: { type: "string" }, to: { type: "string" } } as const;
    values = parseArgs({ args: [...argv], options, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0]!);
  }
  return { from: folder("--from", values.from), to: folder("--to", values.to) };
}

function folder(flag: string, text: string | undefined): string {
  if (text === undefined) throw new UsageError(`install-plugins: ${flag} must name a folder`);
  return flagValue(flag, text, take.absolutePath);
}
