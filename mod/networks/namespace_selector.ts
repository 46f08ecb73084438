import { array, FieldError, join, object, optional, show, text } from "../claim/field.ts";

/** The label that every namespace has: its own name. */
const NAME_LABEL = "kubernetes.io/metadata.name";

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

/** One requirement of a label selector (meta/v1 LabelSelectorRequirement). */
interface Requirement {
  readonly key: string;
  readonly operator: typeof OPERATORS[number];
  readonly values: readonly string[];
}

/** Which namespaces may use a network: those whose labels meet every requirement. */
export type NamespaceSelector = readonly Requirement[];

/** A namespace's labels. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Reads a label selector (meta/v1 LabelSelector). An empty one selects all namespaces.
 *
 * @param path the path of the value, for errors
 * @throws FieldError with the path of the first field that is invalid
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseNamespaceSelector, selects } from "./namespace_selector.ts";
 *
 * const selector = parseNamespaceSelector({ matchLabels: { tier: "web" } }, "selector");
 * assert.equal(selects(selector, { name: "shop", labels: { tier: "web" } }), true);
 * assert.equal(selects(selector, { name: "other", labels: {} }), false);
 * ```
 */
export function parseNamespaceSelector(value: unknown, path: string): NamespaceSelector {
  const fields = object(value, path, ["matchLabels", "matchExpressions"]);
  const at = join(path, "matchLabels");
  const labels = Object.entries(optional(object, fields.matchLabels, at) ?? {});
  const expressionsAt = join(path, "matchExpressions");
  const expressions = optional(array, fields.matchExpressions, expressionsAt) ?? [];
  return [
    ...labels.map(([key, label]): Requirement => ({
      key: labelKey(key, join(at, key)),
      operator: "In",
      values: [string(label, join(at, key))],
    })),
    ...expressions.map((each, i) => requirement(each, `${expressionsAt}[${i}]`)),
  ];
}

function requirement(value: unknown, path: string): Requirement {
  const fields = object(value, path, ["key", "operator", "values"]);
  const key = labelKey(text(fields.key, join(path, "key")), join(path, "key"));
  const operator = OPERATORS.find((each) => each === fields.operator);
  if (!operator) {
    throw new FieldError(
      join(path, "operator"),
      `${show(fields.operator)} is unknown; must be one of ${OPERATORS.join(", ")}`,
    );
  }
  const at = join(path, "values");
  const values = (optional(array, fields.values, at) ?? [])
    .map((each, i) => string(each, `${at}[${i}]`));
  const needsValues = operator === "In" || operator === "NotIn";
  if (needsValues !== values.length > 0) {
    const problem = needsValues ? "must hold at least one value" : "must be left out";
    throw new FieldError(at, `${problem} for the operator ${operator}`);
  }
  return { key, operator, values };
}

/** The key of a label: a name, with or without a domain before it. */
function labelKey(key: string, path: string): string {
  if (/^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(key)) return key;
  throw new FieldError(path, `${show(key)} is not the key of a label`);
}

function string(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  throw new FieldError(path, `must be a string, not ${show(value)}`);
}

/** Whether the labels of namespaces must be known for it: their names alone do not decide. */
export function needsLabels(selector: NamespaceSelector): boolean {
  return selector.some(({ key }) => key !== NAME_LABEL);
}

/** Whether a namespace is selected. */
export function selects(
  selector: NamespaceSelector,
  { name, labels }: { readonly name: string; readonly labels: Labels },
): boolean {
  return selector.every(({ key, operator, values }) => {
    const label = key === NAME_LABEL ? name : Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case "In":
        return label !== undefined && values.includes(label);
      case "NotIn":
        return label === undefined || !values.includes(label);
      case "Exists":
        return label !== undefined;
      case "DoesNotExist":
        return label === undefined;
    }
  });
}

/** As kubectl writes selectors, such as `tier in (web, db), !legacy`. */
export function describeSelector(selector: NamespaceSelector): string {
  return selector.map(({ key, operator, values }) => {
    switch (operator) {
      case "In":
        return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(", ")})`;
      case "NotIn":
        return `${key} notin (${values.join(", ")})`;
      case "Exists":
        return key;
      case "DoesNotExist":
        return `!${key}`;
    }
  }).join(", ");
}

/** The labels of a Namespace as the API server gives it. */
export function labelsOf(namespace: unknown): Labels {
  const { metadata } = namespace as { readonly metadata?: { readonly labels?: Labels } };
  return metadata?.labels ?? {};
}
