import type { AdmissionSeen, RawObject } from "./seen.ts";

/** The policies with what is wanted of their bindings. Both are admissionregistration.k8s.io/v1. Pure. */
export function admissionSeen(
  policies: readonly RawObject[],
  bindings: readonly RawObject[],
): AdmissionSeen[] {
  const inForce = new Set(
    (bindings as readonly Binding[]).filter(({ spec }) => spec?.validationActions?.includes("Deny"))
      .map(({ spec }) => spec?.policyName),
  );
  return (policies as unknown as readonly Policy[]).map(({ metadata: { name }, spec }) => ({
    name,
    resources: spec?.matchConstraints?.resourceRules?.flatMap(({ resources }) => resources ?? []) ??
      [],
    expressions: spec?.matchConditions?.map(({ expression }) => expression) ?? [],
    enforced: inForce.has(name),
  }));
}

interface Policy {
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly matchConstraints?: {
      readonly resourceRules?: readonly { readonly resources?: readonly string[] }[];
    };
    readonly matchConditions?: readonly { readonly expression: string }[];
  };
}

interface Binding {
  readonly spec?: {
    readonly policyName?: string;
    readonly validationActions?: readonly string[];
  };
}
