import { errorMessage } from "../../async/error_message.ts";
import type { Policy } from "../../claim/policy.ts";
import { parsePolicy } from "../../claim/policy_config.ts";
import { planProblems } from "../../lint/claim_plans.ts";
import { fileNetworkObjects } from "../../lint/file_networks.ts";
import type { Manifest } from "../../manifests/manifest.ts";
import type { Checked, Finding, Unknown } from "../finding.ts";
import { counted, nodesText } from "../nodes_text.ts";
import { type ClusterSeen, mayHaveAgents, type RawObject, type Seen } from "../seen.ts";

/** A policy that agents have, and on which nodes. */
interface NodePolicy {
  readonly policy: Policy;
  readonly driver: string;
  readonly nodes: readonly string[];
}

/** Whether the agents' policies, and what agents accept at all, fit classes and templates. */
export function checkPolicy(seen: ClusterSeen): Checked {
  const { classes: rawClasses, templates: rawTemplates, agents } = seen;
  const unknown: Unknown[] = [];
  const classes = manifests(rawClasses, "DeviceClass", unknown);
  const templates = manifests(rawTemplates, "ResourceClaimTemplate", unknown);
  const policies = policiesOf(seen, unknown);
  const byName = new Map(classes.map((each) => [each.metadata.name, each]));
  const findings: Finding[] = [];
  for (const { policy, driver, nodes } of policies) {
    // Networks that are named lie on the nodes or in the cluster: they are taken as right.
    const options = { driver, policy, classes: byName, networks: fileNetworkObjects([], []) };
    const judge = (claim: Manifest, where: string, base: "spec" | "spec.spec"): void => {
      for (
        const { rule, path, message, deviceClass } of planProblems(claim, { ...options, base })
      ) {
        findings.push({
          level: "error",
          where: deviceClass ? `DeviceClass ${deviceClass.metadata.name}` : where,
          what: `the agent of ${nodesText(nodes)} does not accept it: ${path}: ${message}`,
          whatToDo: rule === "policy"
            ? "remove the field, move it into a DeviceClass, or change the setting of the policy " +
              "that the message names"
            : "correct the field: network-dra lint shows it in the file",
        });
      }
    };
    for (const each of classes.filter(hasConfig)) {
      judge(claimOf(each), `DeviceClass ${each.metadata.name}`, "spec");
    }
    for (const each of templates) {
      const { namespace, name } = each.metadata;
      judge(each, `ResourceClaimTemplate ${namespace}/${name}`, "spec.spec");
    }
  }
  const untold = agents.filter(({ told }) => told.state === "untold").map(({ node }) => node);
  if (untold.length > 0) {
    const why = "the agent does not tell it";
    unknown.push({ what: `the policy on ${nodesText(untold)}`, why });
  }
  if (agents.length === 0 && mayHaveAgents(seen.picture)) {
    unknown.push({ what: "the policy of agents", why: "no agent is ready that could tell it" });
  }
  return {
    findings: unique(findings),
    unknown,
    ...(policies.length > 0 && {
      well: `agents accept ${
        counted(classes.filter(hasConfig).length, "class", "classes")
      } with a network and ${counted(templates.length, "template")}`,
    }),
  };
}

function policiesOf({ agents }: ClusterSeen, unknown: Unknown[]): NodePolicy[] {
  const found = new Map<string, { policy: Policy; driver: string; nodes: string[] }>();
  for (const { node, told } of agents) {
    if (told.state !== "told") continue;
    const { settings, agents: [agent] } = told.document;
    if (!agent) continue;
    const value = settings.find(({ name }) => name === "policy")?.value;
    const key = JSON.stringify([agent.driver, value]);
    const known = found.get(key);
    if (known) {
      known.nodes.push(node);
      continue;
    }
    try {
      const policy = parsePolicy(value);
      found.set(key, { policy, driver: agent.driver, nodes: [node] });
    } catch (error) {
      unknown.push({ what: `the policy on node ${node}`, why: errorMessage(error) });
    }
  }
  return [...found.values()];
}

/** What the API server gives in a list has neither version nor kind. */
function manifests(raw: Seen<readonly RawObject[]>, kind: string, unknown: Unknown[]): Manifest[] {
  if (raw.state === "unseen") {
    unknown.push({ what: `what agents say of objects of the kind ${kind}`, why: raw.why });
    return [];
  }
  const apiVersion = "resource.k8s.io/v1";
  return raw.value.map((each) => ({ ...each, apiVersion, kind }) as unknown as Manifest);
}

function hasConfig({ spec }: Manifest): boolean {
  const { config } = (spec ?? {}) as { readonly config?: readonly unknown[] };
  return config !== undefined && config.length > 0;
}

/** A claim that asks for nothing but the class. */
function claimOf({ metadata: { name } }: Manifest): Manifest {
  return {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: { name: "any", namespace: "default" },
    spec: { devices: { requests: [{ name: "any", exactly: { deviceClassName: name } }] } },
  };
}

/** A class is judged alone and in templates. */
function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((each) => [`${each.where} ${each.what}`, each])).values()];
}
