import type { Checked, Finding, Unknown } from "../finding.ts";
import type { ClusterSeen } from "../seen.ts";

/** Gates without which something fails, and what. */
const NEEDED: Readonly<Record<string, Omit<Finding, "where">>> = {
  DynamicResourceAllocation: {
    level: "error",
    what:
      "the feature gate DynamicResourceAllocation of the API server is off: there are no claims",
    whatToDo:
      "turn it on in the API server, the scheduler, the controller manager and all kubelets",
  },
  DRAResourceClaimDeviceStatus: {
    level: "error",
    what: "the feature gate DRAResourceClaimDeviceStatus of the API server is off: no claim's " +
      "status shows its network",
    whatToDo: "turn it on in the API server: it is on by default from Kubernetes 1.33 on",
  },
  DRAConsumableCapacity: {
    level: "note",
    what: "the feature gate DRAConsumableCapacity of the API server is off: pods share an " +
      "interface by 16 numbered copies of its device, and not by 256 attachments",
    whatToDo: "nothing, or use Kubernetes 1.36 or later, where it is on by default",
  },
};

/** Whether the API server serves the API of claims, with the feature gates that are needed. */
export function checkApi({ api, gates, picture }: ClusterSeen): Checked {
  const findings: Finding[] = [];
  const unknown: Unknown[] = [];
  if (api.state === "unseen") unknown.push({ what: "the API server's version", why: api.why });
  else if (!api.value.resourceVersions.includes("v1")) findings.push(notServed(api.value));
  if (gates.state === "unseen") {
    unknown.push({ what: "the feature gates of the API server", why: gates.why });
  }
  const known = gates.state === "seen" ? gates.value : new Map<string, boolean>();
  for (const [gate, finding] of Object.entries(NEEDED)) {
    if (known.get(gate) === false) findings.push({ where: "API server", ...finding });
  }
  for (const { kind, cause, message } of picture.unread) {
    // That is said above.
    if (cause !== "not-served") unknown.push({ what: `objects of the kind ${kind}`, why: message });
  }
  if (api.state === "unseen") return { findings, unknown };
  const withGates = gates.state === "seen" ? ", with the feature gates that are needed" : "";
  return {
    findings,
    unknown,
    well: `Kubernetes ${api.value.version} serves resource.k8s.io/v1${withGates}`,
  };
}

function notServed(
  { version, resourceVersions }: {
    readonly version: string;
    readonly resourceVersions: readonly string[];
  },
): Finding {
  const others = resourceVersions.length > 0 ? `, only ${resourceVersions.join(", ")}` : "";
  return {
    level: "error",
    where: "API server",
    what: `Kubernetes ${version} does not serve resource.k8s.io/v1${others}`,
    whatToDo: "use Kubernetes 1.34 or later, and do not turn the API off with --runtime-config",
  };
}
