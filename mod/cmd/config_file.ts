import { didYouMean } from "../claim/did_you_mean.ts";
import { join, show } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import type { InterfacePatterns } from "../inventory/offered_links.ts";
import { RUN_SETTINGS } from "./commands/run.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import type { Flag } from "./flag.ts";
import { settle } from "./flag_values.ts";
import { readGivenFile } from "./given_file.ts";
import { readInterfacePatterns } from "./interface_patterns.ts";
import { readPolicy } from "./policy_file.ts";
import { UsageError } from "./usage_error.ts";

/** What the agent's configuration file contains. */
export interface ConfigFile {
  /** The texts of the settings that are also flags. */
  readonly settings: ReadonlyMap<string, string>;
  readonly interfaces: InterfacePatterns;
  readonly policy: Policy;
}

export const EMPTY_CONFIG_FILE: ConfigFile = { settings: new Map(), interfaces: {}, policy: {} };

const SETTINGS: Readonly<Record<string, Flag<unknown>>> = RUN_SETTINGS;

/**
 * Reads the agent's configuration file. All of it must be valid, even if a flag overrides it or
 * the command does not use it: otherwise, a mistake would only show on a node.
 *
 * @param at the flag or variable that names the file
 * @throws UsageError that names file, key and what is allowed
 */
export function readConfigFile(
  path: string,
  { at, readFile }: { readonly at: string; readonly readFile?: (path: string) => string },
): ConfigFile {
  const text = readGivenFile(path, { at, ...(readFile && { readFile }) });
  let content: unknown;
  try {
    content = parseConfigYaml(text) ?? {};
  } catch (error) {
    throw new UsageError(`${at} ${path}: ${(error as Error).message}`);
  }
  if (typeof content !== "object" || Array.isArray(content)) {
    throw new UsageError(
      `${at} ${path}: must contain settings, such as "driverName: dra.networking"`,
    );
  }
  const settings = new Map<string, string>();
  const { interfaces, policy, ...single } = content as Record<string, unknown>;
  for (const [key, value] of Object.entries(single)) {
    if (!Object.hasOwn(SETTINGS, key)) {
      const known = [...Object.keys(SETTINGS), "interfaces", "policy"];
      throw new UsageError(
        `${path}: ${join("", key)} is unknown; must be one of ${known.join(", ")}${
          didYouMean(key, known)
        }`,
      );
    }
    if (!["string", "number", "boolean"].includes(typeof value)) {
      throw new UsageError(`${path}: ${key}: ${show(value)} must be a single value`);
    }
    const setting = String(value);
    settle(
      { [key]: SETTINGS[key]! },
      () => [{ from: "file", at: `${path}: ${key}`, text: setting }],
    );
    settings.set(key, setting);
  }
  return {
    settings,
    interfaces: readInterfacePatterns(interfaces, path),
    policy: readPolicy(policy, path),
  };
}
