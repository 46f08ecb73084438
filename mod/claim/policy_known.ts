import { didYouMean, nearest } from "./did_you_mean.ts";
import { FieldError, join } from "./field.ts";
import type { PluginRule, Policy, PolicySettings } from "./policy.ts";
import {
  type BuiltinPlugin,
  CAPABILITIES,
  CLOSED_PLUGINS,
  IPAM,
  PLUGINS,
} from "./policy_builtin.ts";

/** Shorter types that look like a known one are often plugins of their own, such as vxlan beside vlan. */
const SHORTEST_TYPO = 6;

/**
 * Refuses names in a policy that mean nothing: a rule for one of them would leave open what it was
 * written to close.
 *
 * Of the plugins that are built in all fields are known. Other plugins may have any, and any type may be
 * a plugin, unless it looks like one that is known.
 *
 * @throws FieldError
 */
export function assertKnown(policy: Policy): void {
  assertSettings(policy, "policy");
  policy.namespaces?.forEach((each, i) => assertSettings(each, `policy.namespaces[${i}]`));
}

function assertSettings({ capabilities, plugins, ipam }: PolicySettings, path: string): void {
  for (const name of Object.keys(capabilities ?? {})) {
    assertOneOf(name, Object.keys(CAPABILITIES), join(path, "capabilities"));
  }
  assertRules(plugins, { ...PLUGINS, ...closed() }, join(path, "plugins"));
  assertRules(ipam, { ...IPAM, whereabouts: undefined }, join(path, "ipam"));
}

function closed(): Record<string, undefined> {
  return Object.fromEntries(Object.keys(CLOSED_PLUGINS).map((type) => [type, undefined]));
}

/** @param known undefined for plugins whose fields are not known */
function assertRules(
  rules: Readonly<Record<string, PluginRule>> | undefined,
  known: Readonly<Record<string, BuiltinPlugin | undefined>>,
  path: string,
): void {
  const types = Object.keys(known);
  for (const [type, rule] of Object.entries(rules ?? {})) {
    const at = join(path, type);
    if (Object.hasOwn(known, type)) {
      const fields = known[type]?.fields;
      if (!fields || typeof rule === "boolean") continue;
      for (const field of Object.keys(rule)) assertOneOf(field, Object.keys(fields), at);
      continue;
    }
    const meant = type.length < SHORTEST_TYPO ? undefined : nearest(type, types);
    if (meant === undefined) continue;
    throw new FieldError(at, `is not a known plugin (did you mean ${JSON.stringify(meant)}?)`);
  }
}

function assertOneOf(name: string, known: readonly string[], path: string): void {
  if (known.includes(name)) return;
  const names = known.toSorted().join(", ");
  throw new FieldError(
    join(path, name),
    `is unknown; must be one of ${names}${didYouMean(name, known)}`,
  );
}
