import { CAPABILITIES, CLOSED_PLUGINS, IPAM, PLUGINS } from "../claim/policy_builtin.ts";
import type { BuiltinPlugin } from "../claim/policy_builtin.ts";
import { RUN_SETTINGS } from "./commands/run.ts";
import type { Flag } from "./flag.ts";

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string", minLength: 1 };
const texts: Schema = { type: "array", items: text };
const flag: Schema = { type: "boolean" };

const ANY_FIELD: Schema = {
  description: "true: any value; false: none; a list: these values",
  anyOf: [flag, {
    type: "array",
    items: {
      anyOf: [
        { type: ["string", "number", "boolean"] },
        strict({ from: { type: "number" }, to: { type: "number" } }, ["from", "to"]),
        strict({ allocated: { const: true } }, ["allocated"]),
      ],
    },
  }],
};

const fieldRule: Schema = { $ref: "#/$defs/fieldRule" };
const settings: Schema = { $ref: "#/$defs/settings" };

/** The agent's configuration file as JSON Schema (draft 2020-12), for editors. */
export function configSchema(): Schema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "network-dra: the agent's configuration file (--config)",
    type: "object",
    additionalProperties: false,
    properties: {
      ...Object.fromEntries(
        Object.entries<Flag<unknown>>(RUN_SETTINGS).map(([key, { help, default: text }]) => [key, {
          description: help,
          type: ["string", "number", "boolean"],
          ...(text !== undefined && { default: text }),
        }]),
      ),
      interfaces: strict({ include: texts, exclude: texts }),
      policy: withSettings({
        namespaces: {
          type: "array",
          items: withSettings({ names: { ...texts, minItems: 1 } }, ["names"]),
        },
      }),
    },
    $defs: { fieldRule: ANY_FIELD, settings: policySettings() },
  };
}

/** The settings for all claims, which can also be given for some namespaces. */
function policySettings(): Schema {
  const properties = {
    trustClaims: flag,
    inline: flag,
    networks: texts,
    trustedDefinitions: texts,
    reservedNetworks: texts,
    refusedAddresses: texts,
    capabilities: strict(each(Object.keys(CAPABILITIES), fieldRule)),
    plugins: pluginRules({ ...PLUGINS, ...each(Object.keys(CLOSED_PLUGINS), undefined) }),
    ipam: pluginRules({ ...IPAM, whereabouts: undefined }),
  };
  return { type: "object", properties };
}

function withSettings(properties: Schema, required: readonly string[] = []): Schema {
  return {
    allOf: [settings],
    type: "object",
    unevaluatedProperties: false,
    properties,
    ...(required.length > 0 && { required }),
  };
}

/** @param known undefined for plugins whose fields are not known */
function pluginRules(known: Readonly<Record<string, BuiltinPlugin | undefined>>): Schema {
  const any = { type: "object", additionalProperties: fieldRule };
  const rule = (fields: Schema) => ({ anyOf: [flag, fields] });
  return {
    type: "object",
    properties: Object.fromEntries(
      Object.entries(known).map(([type, plugin]) => [
        type,
        rule(plugin ? strict(each(Object.keys(plugin.fields), fieldRule)) : any),
      ]),
    ),
    additionalProperties: rule(any),
  };
}

function each<T>(names: readonly string[], value: T): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, value]));
}

function strict(properties: Schema, required: readonly string[] = []): Schema {
  return {
    type: "object",
    additionalProperties: false,
    properties,
    ...(required.length > 0 && { required }),
  };
}
