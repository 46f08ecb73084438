import type { NetworkAddresses } from "../addresses/pools.ts";
import { array, FieldError, type Fields, join, object, optional, show, text } from "./field.ts";

/**
 * A CNI network configuration list (CNI SPEC, section 1), validated once at the edge.
 *
 * Plain JSON, so that it can stand in a journal record as it is. Unknown keys of a plugin are kept:
 * they are the plugin's own.
 */
export interface NetworkList {
  readonly cniVersion: string;
  readonly name: string;
  readonly disableCheck?: boolean;
  readonly disableGC?: boolean;
  readonly plugins: readonly PluginConfig[];
  /**
   * What its attachments get their addresses from, beside the configuration: only Networks of the
   * cluster have them, and plugins never see them.
   */
  readonly addresses?: NetworkAddresses;
}

/** One plugin's configuration in a network configuration list. */
export interface PluginConfig {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly [key: string]: unknown;
}

/** The supported versions of the CNI SPEC, oldest first. */
export const CNI_VERSIONS = [
  "0.1.0",
  "0.2.0",
  "0.3.0",
  "0.3.1",
  "0.4.0",
  "1.0.0",
  "1.1.0",
] as const;

const LIST_KEYS = [
  "cniVersion",
  "cniVersions",
  "name",
  "disableCheck",
  "disableGC",
  "loadOnlyInlinedPlugins",
  "plugins",
];

/** What libcni takes as the name of a network, as long as a file's name may be: IPAM plugins make files of it. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

/** Longer chains than anyone has: each plugin is a process, for each operation. */
const MOST_PLUGINS = 32;

/** As long as a file's name may be, in bytes. */
const LONGEST_TYPE = 255;

/**
 * Reads a network configuration list; the configuration of a single plugin counts as a list of one.
 *
 * @param path the path of the value, for errors
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseNetworkList } from "./network_list.ts";
 *
 * const network = parseNetworkList({ name: "lan", type: "macvlan" }, "config");
 * assert.deepEqual(network.plugins, [{ name: "lan", type: "macvlan" }]);
 * assert.throws(() => parseNetworkList({}, "config"), /^FieldError: config\.name: must be/);
 * ```
 */
export function parseNetworkList(value: unknown, path: string): NetworkList {
  if (typeof value === "string") {
    throw new FieldError(path, "must be an object, not a string: write the JSON as YAML or inline");
  }
  const fields = object(value, path);
  const name = text(fields.name, join(path, "name"));
  if (!NAME.test(name)) {
    throw new FieldError(
      join(path, "name"),
      `${
        show(name)
      } must begin with a letter or digit, hold only letters, digits, "_", "." and "-", and have ` +
        "at most 255 characters",
    );
  }
  const cniVersion = version(fields, path);
  if (!("plugins" in fields)) {
    if (!("type" in fields)) {
      throw new FieldError(
        path,
        'must have "plugins" (a network list) or "type" (a single plugin)',
      );
    }
    const { cniVersions: _, ...single } = fields;
    return { cniVersion, name, plugins: [plugin(single, path)] };
  }
  object(value, path, LIST_KEYS);
  const list = array(fields.plugins, join(path, "plugins"));
  if (list.length === 0) {
    throw new FieldError(join(path, "plugins"), "must name at least one plugin");
  }
  if (list.length > MOST_PLUGINS) {
    throw new FieldError(
      join(path, "plugins"),
      `names ${list.length} plugins; at most ${MOST_PLUGINS} are allowed`,
    );
  }
  // Read for its type alone: plugins that stand in files are never loaded here.
  optional(flag, fields.loadOnlyInlinedPlugins, join(path, "loadOnlyInlinedPlugins"));
  const disableCheck = optional(flag, fields.disableCheck, join(path, "disableCheck"));
  const disableGC = optional(flag, fields.disableGC, join(path, "disableGC"));
  return {
    cniVersion,
    name,
    ...(disableCheck !== undefined && { disableCheck }),
    ...(disableGC !== undefined && { disableGC }),
    plugins: list.map((item, i) => plugin(item, `${join(path, "plugins")}[${i}]`)),
  };
}

/** The highest version among `cniVersion` and `cniVersions` that is spoken; 0.1.0 when none is named, as in libcni. */
function version(fields: Fields, path: string): string {
  const single = optional(text, fields.cniVersion, join(path, "cniVersion"));
  const several = optional(array, fields.cniVersions, join(path, "cniVersions"))
    ?.map((item, i) => text(item, `${join(path, "cniVersions")}[${i}]`)) ?? [];
  const named = single === undefined ? several : [single, ...several];
  if (named.length === 0) return "0.1.0";
  const known = CNI_VERSIONS.filter((spoken) => named.includes(spoken));
  const highest = known.at(-1);
  if (highest !== undefined && (several.length > 0 || highest === single)) return highest;
  throw new FieldError(
    join(path, single === undefined ? "cniVersions" : "cniVersion"),
    `${show(single ?? several)} is unknown; must be one of ${CNI_VERSIONS.join(", ")}`,
  );
}

function plugin(value: unknown, path: string): PluginConfig {
  const fields = object(value, path);
  const type = pluginType(fields.type, join(path, "type"));
  const ipam = optional(object, fields.ipam, join(path, "ipam"));
  if (ipam && "type" in ipam) pluginType(ipam.type, join(join(path, "ipam"), "type"));
  const at = join(path, "capabilities");
  const capabilities = optional(object, fields.capabilities, at);
  for (const [name, on] of Object.entries(capabilities ?? {})) {
    if (typeof on !== "boolean") {
      throw new FieldError(join(at, name), `must be true or false, not ${show(on)}`);
    }
  }
  return { ...fields, type };
}

/** The name of a plugin's program: a name in the CNI path, never a way out of it. */
function pluginType(value: unknown, path: string): string {
  const type = text(value, path);
  if (type.includes("/") || type.includes("\0") || type === "." || type === "..") {
    throw new FieldError(path, `${show(type)} must be the name of a plugin's program, not a path`);
  }
  if (new TextEncoder().encode(type).length > LONGEST_TYPE) {
    throw new FieldError(path, `${show(type)} is too long for the name of a program`);
  }
  return type;
}

/** A boolean, or its name as a string in any case, as libcni takes it. */
function flag(value: unknown, path: string): boolean {
  if (typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.toLowerCase() : undefined;
  if (word === "true" || word === "false") return word === "true";
  throw new FieldError(path, `must be true or false, not ${show(value)}`);
}
