import { standsFor } from "./device_names.ts";
import { FieldError } from "./field.ts";
import { matchesAny } from "./name_patterns.ts";

/**
 * A value that a field may have; text is a pattern with `*` and `?`, `allocated` the interface of the
 * device that the scheduler gave.
 */
export type AllowedValue =
  | string
  | number
  | boolean
  | { readonly from: number; readonly to: number }
  | { readonly allocated: true };

/** True: any value; false: none; a list: these. */
export type FieldRule = boolean | readonly AllowedValue[];

/** True: all of its fields; false: not at all; else what is said of fields, on top of what is built in. */
export type PluginRule = boolean | Readonly<Record<string, FieldRule>>;

/** What an administrator says of claims; what is left out is as built in. */
export interface PolicySettings {
  /** Claims are trusted like device classes: nothing below applies. */
  readonly trustClaims?: boolean;
  /** Whether claims may carry CNI configuration of their own. */
  readonly inline?: boolean;
  /** Patterns of the administrator's networks that claims may name. */
  readonly networks?: readonly string[];
  /**
   * Patterns of namespaces whose NetworkAttachmentDefinitions are the administrator's; those of all
   * others are held to this policy as if claims contained them.
   */
  readonly trustedDefinitions?: readonly string[];
  /** Patterns of names that no network of a claim's own may have, besides the administrator's. */
  readonly reservedNetworks?: readonly string[];
  /** Networks whose addresses no pod may get through a claim, besides those that never belong to a pod. */
  readonly refusedAddresses?: readonly string[];
  readonly capabilities?: Readonly<Record<string, FieldRule>>;
  /** By type; `*` stands for all that are not named. */
  readonly plugins?: Readonly<Record<string, PluginRule>>;
  readonly ipam?: Readonly<Record<string, PluginRule>>;
}

/** Who may ask for what (design decision 10): the rules for parameters that come from claims. */
export interface Policy extends PolicySettings {
  /** For claims of some namespaces: the first that fits goes before the rest. */
  readonly namespaces?: readonly (PolicySettings & { readonly names: readonly string[] })[];
}

/** Settings, and where they stand in the configuration file. */
export interface PolicyLayer {
  readonly settings: PolicySettings;
  readonly at: string;
}

/** The settings for a namespace, those that go first before the others. */
export function layersFor(policy: Policy, namespace: string): PolicyLayer[] {
  const all = policy.namespaces ?? [];
  const found = all.findIndex(({ names }) => matchesAny(namespace, names));
  return [
    ...found < 0 ? [] : [{ settings: all[found]!, at: `policy.namespaces[${found}]` }],
    { settings: policy, at: "policy" },
  ];
}

/** The setting that applies, and where it stands: the first that says something. */
export function settingOf<K extends keyof PolicySettings>(
  layers: readonly PolicyLayer[],
  key: K,
): { readonly value: PolicySettings[K]; readonly rule: string } {
  const layer = layers.find(({ settings }) => settings[key] !== undefined);
  return { value: layer?.settings[key], rule: `${layer?.at ?? "policy"}.${key}` };
}

/** @param device the device that the scheduler gave */
export function allows(rule: FieldRule, value: unknown, device: string): boolean {
  if (typeof rule === "boolean") return rule;
  if (Array.isArray(value)) return value.every((item) => allows(rule, item, device));
  // Such as tuning's sysctl: what matters is which.
  if (typeof value === "object" && value !== null) {
    return Object.keys(value).every((key) => allows(rule, key, device));
  }
  return rule.some((allowed) => {
    if (typeof allowed === "string") {
      return typeof value === "string" && matchesAny(value, [allowed]);
    }
    if (typeof allowed !== "object") return value === allowed;
    if ("allocated" in allowed) return typeof value === "string" && standsFor(device, value);
    return typeof value === "number" && value >= allowed.from && value <= allowed.to;
  });
}

/** What a rule lets through, in words. */
export function describeRule(rule: FieldRule): string {
  if (typeof rule === "boolean") return rule ? "any value" : "no value";
  return rule.map((allowed) => {
    if (typeof allowed !== "object") return JSON.stringify(allowed);
    if ("allocated" in allowed) return "the allocated device's interface";
    return `${allowed.from} to ${allowed.to}`;
  }).join(", ") || "no value";
}

/** A claim asks for what the administrator has not opened: where, why, and by which rule. */
export class PolicyRefusal extends FieldError {
  /** Where the rule stands, or would, in the agent's configuration file. */
  readonly rule: string;

  constructor(path: string, { problem, rule }: { problem: string; rule: string }) {
    super(
      path,
      `refused by policy: ${problem} (an administrator can change ${rule} in the agent's ` +
        "configuration file)",
    );
    this.rule = rule;
  }
}

/** The refusal that an error came from. */
export function refusalIn(error: unknown): PolicyRefusal | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof PolicyRefusal) return cause;
  }
  return undefined;
}
