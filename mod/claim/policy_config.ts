import * as v from "valibot";
import { parseNetwork } from "./addresses.ts";
import { FieldError, join, show } from "./field.ts";
import { didYouMean } from "./did_you_mean.ts";
import type { Policy } from "./policy.ts";
import { assertKnown } from "./policy_known.ts";

const text = v.pipe(v.string("must be text"), v.minLength(1, "must not be empty"));
const flag = v.boolean("must be true or false");
const number = v.number("must be a number");

const allowedValue = v.union([
  text,
  number,
  flag,
  v.strictObject({ from: number, to: number }),
  v.strictObject({ allocated: v.literal(true) }),
], "must be text, a number, true, false, {from: NUMBER, to: NUMBER} or {allocated: true}");

const fieldRule = v.union(
  [flag, v.array(allowedValue)],
  "must be true (any value), false (no value) or a list of allowed values",
);

const pluginRule = v.union(
  [flag, v.record(text, fieldRule)],
  "must be true (all fields), false (not allowed) or an object of fields, each true, false or a list",
);

const network = v.pipe(
  text,
  v.check((value) => parseNetwork(value) !== undefined, "must be a network such as 10.96.0.0/12"),
);

const settings = {
  trustClaims: v.optional(flag),
  inline: v.optional(flag),
  networks: v.optional(v.array(text, "must be a list")),
  trustedDefinitions: v.optional(v.array(text, "must be a list")),
  reservedNetworks: v.optional(v.array(text, "must be a list")),
  refusedAddresses: v.optional(v.array(network, "must be a list")),
  capabilities: v.optional(v.record(text, fieldRule, "must be an object with arguments")),
  plugins: v.optional(v.record(text, pluginRule, "must be an object with types of plugins")),
  ipam: v.optional(v.record(text, pluginRule, "must be an object with types of IPAM plugins")),
};

const policy = v.strictObject({
  ...settings,
  namespaces: v.optional(v.array(
    v.strictObject({
      ...settings,
      names: v.pipe(v.array(text, "must be a list"), v.minLength(1, "must name namespaces")),
    }),
    "must be a list",
  )),
}, "must be an object with settings");

const KNOWN = [...Object.keys(settings), "namespaces (each with names)"];

/**
 * Reads the configuration file's `policy`.
 *
 * @throws FieldError with the path of what is wrong
 */
export function parsePolicy(value: unknown): Policy {
  if (value === undefined || value === null) return {};
  const result = v.safeParse(policy, value);
  if (result.success) {
    assertKnown(result.output);
    return result.output;
  }
  const [issue] = deepest(result.issues);
  const path = (issue.path ?? []).reduce(
    (at, { key }) => typeof key === "number" ? `${at}[${key}]` : join(at, String(key)),
    "policy",
  );
  if (issue.type === "strict_object" && issue.expected === "never") {
    const meant = didYouMean(String(issue.path?.at(-1)?.key), [
      ...Object.keys(settings),
      "namespaces",
    ]);
    throw new FieldError(path, `is unknown; must be one of ${KNOWN.join(", ")}${meant}`);
  }
  if (issue.input === undefined) throw new FieldError(path, "is missing");
  throw new FieldError(path, `${show(issue.input)} is not valid; ${issue.message}`);
}

type Issues = [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]];

/** An alternative that fits in kind says more than that none of them fits. */
function deepest(issues: Issues): Issues {
  const [{ issues: inner }] = issues;
  const further = inner?.filter(({ path }) => path !== undefined && path.length > 0);
  if (!further || further.length === 0) return issues;
  const [first] = issues;
  const [found] = deepest(further as Issues);
  return [{ ...found, path: [...first.path ?? [], ...found.path ?? []] as typeof first.path }];
}
