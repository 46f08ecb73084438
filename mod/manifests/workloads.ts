import type { Fields, Manifest } from "./manifest.ts";

/** The most pods of one workload that run: enough for a small machine. */
export const MOST_PODS = 10;

/** The pods of a workload as they would be on one node. */
export interface WorkloadPods {
  readonly pods: readonly Manifest[];
  /** How it differs from a cluster, in words. */
  readonly note?: string;
}

/** The pods that a controller would create for a Deployment, a Job or the like, or the Pod itself. */
export function podsOf(manifest: Manifest): WorkloadPods {
  const { kind, metadata } = manifest;
  if (kind === "Pod") return { pods: [manifest] };
  const spec = manifest.spec as Fields;
  if (kind === "CronJob") {
    const job = spec.jobTemplate as Fields;
    const { pods, note } = podsOf({ ...manifest, kind: "Job", spec: job.spec });
    return { pods, note: `run once, as if it were due${note ? `; ${note}` : ""}` };
  }
  const { wanted, note } = wantedPods(kind, spec);
  const number = Math.min(wanted, MOST_PODS);
  const { metadata: own = {}, spec: podSpec } = spec.template as {
    metadata?: Fields;
    spec: Fields;
  };
  const pods = Array.from({ length: number }, (_, n): Manifest => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...own,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      name: `${metadata.name}-${n}`,
    },
    spec: podSpec,
  }));
  const few = number < wanted ? `${number} of ${wanted} pods are run` : undefined;
  return { pods, ...((few ?? note) && { note: [few, note].filter(Boolean).join("; ") }) };
}

function wantedPods(kind: string, spec: Fields): { wanted: number; note?: string } {
  switch (kind) {
    case "DaemonSet":
      return { wanted: 1 };
    case "Job": {
      const completions = spec.completions as number | undefined;
      const wanted = Math.min(
        (spec.parallelism as number | undefined) ?? 1,
        completions ?? Infinity,
      );
      if (completions === undefined || completions <= wanted) return { wanted };
      return { wanted, note: `of its ${completions} pods, those that run at once: ${wanted}` };
    }
    default:
      return { wanted: (spec.replicas as number | undefined) ?? 1 };
  }
}
