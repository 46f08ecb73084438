import type { SettingStatus } from "../status/document.ts";
import { RUN_SETTINGS } from "./commands/run.ts";
import { EMPTY_CONFIG_FILE } from "./config_file.ts";
import type { Flag } from "./flag.ts";
import type { GivenConfig } from "./run_config.ts";

/** All settings of an agent, each with its source, for `status`. Pure. */
export function describeSettings({ config, given, file }: GivenConfig): SettingStatus[] {
  const names = Object.keys(RUN_SETTINGS) as (keyof typeof RUN_SETTINGS)[];
  const single = names.map((name): SettingStatus => {
    const source = given[name];
    if (source) return { name, value: source.text, from: source.from, at: source.at };
    // The value of a default that depends on the node.
    const { default: text }: Flag<unknown> = RUN_SETTINGS[name];
    return { name, value: text ?? `${config[name] ?? ""}`, from: "default" };
  });
  const inFile = (["interfaces", "policy"] as const).map((name): SettingStatus => {
    const value = config[name];
    const isGiven = JSON.stringify(value) !== JSON.stringify(EMPTY_CONFIG_FILE[name]);
    if (!isGiven || file === undefined) return { name, value, from: "default" };
    return { name, value, from: "file", at: `${file}: ${name}` };
  });
  return [...single, ...inFile];
}
