import { networks } from "./addresses.ts";
import type { Attachment, Origin } from "./attachment.ts";
import { didYouMean } from "./did_you_mean.ts";
import { join, show } from "./field.ts";
import { matchesAny } from "./name_patterns.ts";
import type { PluginConfig } from "./network_list.ts";
import { describeDefinition, pluginPaths } from "./parameters.ts";
import {
  allows,
  describeRule,
  type FieldRule,
  layersFor,
  type PluginRule,
  type Policy,
  type PolicyLayer,
  PolicyRefusal,
  settingOf,
} from "./policy.ts";
import {
  type BuiltinPlugin,
  CAPABILITIES,
  CLOSED_PLUGINS,
  CLUSTER_NETWORKS,
  COMMON,
  IPAM,
  PLUGINS,
} from "./policy_builtin.ts";
import { type Check, type NodeView, Objection, type Surroundings } from "./policy_checks.ts";

/** The data that a claim is checked against. */
export interface JudgeOptions {
  readonly policy: Policy;
  /** The claim's. */
  readonly namespace: string;
  readonly node: NodeView;
  /** The administrator's networks on the node: no other network may have their names. */
  readonly networkNames: readonly string[];
}

/** The defaults for an attachment whose record has no such data. */
const UNKNOWN_ORIGIN: Origin = { from: "claim", path: "parameters", form: "list" };

/**
 * Accepts a network that the policy allows for claims; networks of device classes belong to the
 * administrator, and NetworkAttachmentDefinitions to whoever may write them.
 *
 * Fields are allowed by name: plugins match field names in any case and ignore unknown fields, so a
 * field that is unknown here may be a known one in a different spelling.
 *
 * @throws PolicyRefusal that names the field, the rule, and what an administrator would change
 * @throws FieldError for a value that is invalid under any policy
 */
export function assertAllowed(asked: Attachment, options: JudgeOptions): void {
  const { origin = UNKNOWN_ORIGIN, network, capabilityArgs } = asked;
  const layers = layersFor(options.policy, options.namespace);
  const isTrusted = isAdministrators(origin, layers);
  if (origin.from === "class" && isTrusted) return;
  if (settingOf(layers, "trustClaims").value) return;
  const judge = new Judge({ ...asked, origin }, layers, options);
  if (isTrusted) {
    judge.name();
  } else {
    judge.inline();
    const paths = pluginPaths(origin, network);
    network.plugins.forEach((plugin, i) => judge.plugin(plugin, paths[i]!));
  }
  if (origin.from === "claim") judge.capabilities(capabilityArgs, network.plugins);
}

/**
 * Whether the administrator wrote the configuration: in a class, in a network that has a name, or in a
 * definition of a namespace that the policy trusts. A class that names a definition of others vouches
 * for the name, and not for what they write.
 */
function isAdministrators(
  { from, form, definition }: Origin,
  layers: readonly PolicyLayer[],
): boolean {
  if (form === "name") return true;
  if (definition === undefined) return from === "class";
  const { value: trusted = [] } = settingOf(layers, "trustedDefinitions");
  return matchesAny(definition.split("/")[0]!, trusted);
}

/** The parameter that names the network. */
function nameField({ definition }: Origin): string {
  return definition === undefined ? "networkName" : "networkAttachmentDefinition";
}

class Judge {
  readonly #asked: Attachment & { readonly origin: Origin };
  readonly #layers: readonly PolicyLayer[];
  readonly #options: JudgeOptions;

  constructor(
    asked: Attachment & { readonly origin: Origin },
    layers: readonly PolicyLayer[],
    options: JudgeOptions,
  ) {
    this.#asked = asked;
    this.#layers = layers;
    this.#options = options;
  }

  name(): void {
    const { value: patterns = ["*"], rule } = settingOf(this.#layers, "networks");
    const { origin, network } = this.#asked;
    const { namespace } = this.#options;
    if (matchesAny(network.name, patterns)) return;
    const problem = `claims in namespace ${namespace} may not use network ${show(network.name)}`;
    throw new PolicyRefusal(join(origin.path, nameField(origin)), { problem, rule });
  }

  inline(): void {
    const { origin: { path, definition }, network: { name } } = this.#asked;
    const { namespace } = this.#options;
    const inline = settingOf(this.#layers, "inline");
    const at = join(path, definition === undefined ? "config" : "networkAttachmentDefinition");
    if (inline.value === false) {
      const problem = definition !== undefined
        ? `claims in namespace ${namespace} may not use ${describeDefinition(definition)}: the ` +
          "policy does not trust its namespace (trustedDefinitions)"
        : `claims in namespace ${namespace} may not contain a configuration: name one of the ` +
          "administrator's networks (networkName), or use a device class that has a configuration";
      throw new PolicyRefusal(at, { problem, rule: inline.rule });
    }
    const reserved = settingOf(this.#layers, "reservedNetworks");
    const isTaken = this.#options.networkNames.includes(name) ||
      matchesAny(name, reserved.value ?? CLUSTER_NETWORKS);
    if (!isTaken) return;
    const problem =
      `${show(name)} is the name of another network on the node, whose addresses it would ` +
      "share: use another name";
    const where = definition === undefined
      ? join(at, "name")
      : `${at}: ${definition}: spec.config.name`;
    throw new PolicyRefusal(where, { problem, rule: reserved.rule });
  }

  plugin(plugin: PluginConfig, path: string): void {
    const { type, ipam, ...fields } = plugin;
    this.#fields(fields, { list: "plugins", type, path, plugin });
    if (ipam === undefined || ipam === null) return;
    const { type: ipamType, ...ipamFields } = ipam as Record<string, unknown>;
    const at = join(path, "ipam");
    if (typeof ipamType === "string" && ipamType !== "") {
      this.#fields(ipamFields, { list: "ipam", type: ipamType, path: at, plugin });
      return;
    }
    const [first] = Object.keys(ipamFields);
    if (first === undefined) return;
    const problem = "is not allowed without ipam.type, which determines its meaning";
    throw new PolicyRefusal(join(at, first), { problem, rule: "policy.ipam" });
  }

  capabilities(
    args: Readonly<Record<string, unknown>>,
    plugins: readonly PluginConfig[],
  ): void {
    const path = join(this.#asked.origin.path, "capabilities");
    // The plugin whose addresses are routed on the node.
    const plugin = plugins.find(({ type }) => type === "ptp") ?? plugins[0]!;
    for (const [name, value] of Object.entries(args)) {
      const at = join(path, name);
      const found = this.#layers.find(({ settings }) => has(settings.capabilities, name));
      const rule = `${found?.at ?? "policy"}.capabilities.${name}`;
      const given = found?.settings.capabilities?.[name];
      this.#field(value, { path: at, rule, given, check: CAPABILITIES[name], plugin });
    }
  }

  #fields(
    fields: Readonly<Record<string, unknown>>,
    { list, type, path, plugin }: {
      readonly list: "plugins" | "ipam";
      readonly type: string;
      readonly path: string;
      readonly plugin: PluginConfig;
    },
  ): void {
    const said = this.#layers.flatMap(({ settings, at }): [PluginRule, string][] => {
      const rules = settings[list];
      const key = has(rules, type) ? type : has(rules, "*") ? "*" : undefined;
      return key === undefined ? [] : [[rules![key]!, join(`${at}.${list}`, key)]];
    });
    const builtins = list === "plugins" ? PLUGINS : IPAM;
    const builtin = has(builtins, type) ? builtins[type]! : undefined;
    const [top] = said;
    if (top?.[0] === false || !top && !builtin) {
      const meant = builtin ? "" : didYouMean(type, Object.keys(builtins));
      const why = has(CLOSED_PLUGINS, type) ? `: ${CLOSED_PLUGINS[type]}` : meant;
      const what = list === "ipam" ? "IPAM plugin" : "plugin";
      const problem = `claims may not use the ${what} ${show(type)}${why}`;
      const rule = top?.[1] ?? join(`policy.${list}`, type);
      throw new PolicyRefusal(join(path, "type"), { problem, rule });
    }
    const known: BuiltinPlugin = builtin ?? { fields: list === "plugins" ? COMMON : {} };
    const needed = known.needed?.filter((key) => isNothing(fields[key])) ?? [];
    for (const key of [...Object.keys(fields), ...needed]) {
      const found = said.find(([rule]) => rule === true || rule !== false && has(rule, key));
      this.#field(fields[key], {
        path: join(path, key),
        rule: join(found?.[1] ?? join(`policy.${list}`, type), key),
        given: found && (found[0] === true || (found[0] as Record<string, FieldRule>)[key]),
        check: has(known.fields, key) ? known.fields[key] : undefined,
        meant: didYouMean(key, Object.keys(known.fields)),
        plugin,
      });
    }
  }

  #field(
    value: unknown,
    { path, rule, given, check, meant = "", plugin }: {
      readonly path: string;
      readonly rule: string;
      /** The administrator's rule for it. */
      readonly given: FieldRule | undefined;
      /** The built-in rule. */
      readonly check: Check | undefined;
      /** A hint at the field that was meant, if there is no check. */
      readonly meant?: string;
      readonly plugin: PluginConfig;
    },
  ): void {
    if (given !== undefined) {
      if (allows(given, value, this.#asked.device)) return;
      const what = value === undefined ? "is missing" : `${show(value)} is not allowed`;
      const problem = `${what}; the policy allows ${describeRule(given)}`;
      throw new PolicyRefusal(path, { problem, rule });
    }
    if (!check) {
      const problem = "is not a known field of this plugin, and plugins ignore the case of names" +
        meant;
      throw new PolicyRefusal(path, { problem, rule });
    }
    const { value: refusedAddresses = [] } = settingOf(this.#layers, "refusedAddresses");
    const { device } = this.#asked;
    const around: Surroundings = {
      node: this.#options.node,
      device,
      plugin,
      refusedAddresses: networks(...refusedAddresses),
    };
    try {
      check(value, path, around);
    } catch (error) {
      if (!(error instanceof Objection)) throw error;
      throw new PolicyRefusal(error.path, { problem: error.message, rule });
    }
  }
}

/** Names come from claims: `constructor` must not be mistaken for a plugin. */
function has(object: object | undefined, key: string): boolean {
  return object !== undefined && Object.hasOwn(object, key);
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}
