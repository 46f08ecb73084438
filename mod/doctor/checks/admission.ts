import type { Checked, Finding } from "../finding.ts";
import { type AdmissionSeen, type ClusterSeen, isInstalled } from "../seen.ts";

/** The resources that RBAC cannot limit to an agent's node, and what an agent could do with them. */
const GUARDED: Readonly<Record<string, string>> = {
  resourceslices: "whoever takes over one node can offer devices on all nodes",
  events: "whoever takes over one node can write events in the name of others",
};

/** Whether the chart's policies for the API server keep each agent to its own node. */
export function checkAdmission({ accounts, admission, whole }: ClusterSeen): Checked {
  const what = "the ValidatingAdmissionPolicies of the chart";
  if (accounts.length === 0) {
    const why = "no pod of an agent is to be seen, whose ServiceAccount they are about";
    return { findings: [], unknown: isInstalled(whole) ? [{ what, why }] : [] };
  }
  if (admission.state === "unseen") {
    return { findings: [], unknown: [{ what, why: admission.why }] };
  }
  const findings = accounts.flatMap(({ account: { namespace, name } }) =>
    Object.entries(GUARDED).flatMap(([resource, danger]): Finding[] => {
      const user = `system:serviceaccount:${namespace}:${name}`;
      const policies = admission.value.filter((each) => isAbout(each, { resource, user }));
      if (policies.some(({ enforced }) => enforced)) return [];
      const [loose] = policies;
      const where = loose ? `ValidatingAdmissionPolicy ${loose.name}` : "cluster";
      const what = loose
        ? "no binding with the action Deny puts it in force"
        : `no ValidatingAdmissionPolicy keeps the ${resource} of ${namespace}/${name} to its node`;
      return [{
        level: "warning",
        where,
        what: `${what}: ${danger}`,
        whatToDo: "helm upgrade puts the chart's policies and bindings back",
      }];
    })
  );
  return { findings, unknown: [], well: "policies keep each agent to its own node" };
}

function isAbout(
  { resources, expressions }: AdmissionSeen,
  { resource, user }: { readonly resource: string; readonly user: string },
): boolean {
  return resources.includes(resource) &&
    expressions.some((expression) => expression.includes(`"${user}"`));
}
