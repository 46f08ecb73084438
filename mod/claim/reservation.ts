import { array, type Fields, identity, join, object, optional, show, text } from "./field.ts";

/** Who may use a claim: its `status.reservedFor`. */
export interface Reservation {
  readonly pods: readonly { readonly name: string; readonly uid: string }[];
  /** Names of PodGroups of the claim's namespace, all pods of which may use it (KEP-5729). */
  readonly groups: readonly string[];
}

/**
 * Reads for whom a claim is reserved.
 *
 * @throws FieldError for consumers other than pods and PodGroups: which pods use the claim through
 *   them cannot be told
 */
export function reservationOf(claim: unknown): Reservation {
  const pods: { name: string; uid: string }[] = [];
  const groups: string[] = [];
  const status = optional(object, object(claim, "the claim").status, "status") ?? {};
  const consumers = optional(array, status.reservedFor, "status.reservedFor") ?? [];
  for (const [i, item] of consumers.entries()) {
    const path = `status.reservedFor[${i}]`;
    const consumer = object(item, path);
    const name = identity(consumer.name, join(path, "name"));
    switch (kindOf(consumer, path)) {
      case "pods":
        pods.push({ name, uid: identity(consumer.uid, join(path, "uid")) });
        break;
      case "podgroups.scheduling.k8s.io":
        groups.push(name);
        break;
      case undefined:
        throw new Error(
          `${path}: it is reserved for ${show(consumer.resource)} of the API group ` +
            `${
              show(consumer.apiGroup)
            }, but this driver supports only pods and PodGroups: it cannot ` +
            "tell which pods use the claim",
        );
    }
  }
  return { pods, groups };
}

function kindOf(
  { resource, apiGroup }: Fields,
  path: string,
): "pods" | "podgroups.scheduling.k8s.io" | undefined {
  const plural = text(resource, join(path, "resource"));
  const kind = apiGroup === undefined || apiGroup === "" ? plural : `${plural}.${apiGroup}`;
  return kind === "pods" || kind === "podgroups.scheduling.k8s.io" ? kind : undefined;
}
