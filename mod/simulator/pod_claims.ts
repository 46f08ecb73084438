import { didYouMean } from "../claim/did_you_mean.ts";
import { CLAIM_API } from "../manifests/kinds.ts";
import type { Fields, Manifest } from "../manifests/manifest.ts";
import { namesake, POD_FIELDS } from "../manifests/namesake.ts";
import type { StoredClaim } from "./api_server.ts";

/** A claim as a pod uses it. */
export interface PodClaim {
  readonly stored: StoredClaim;
  readonly isUsedBy: (container: string) => boolean;
}

/**
 * The claims of a pod's spec.resourceClaims. A claim from a template belongs to the pod.
 *
 * @throws Error for a claim or a template that does not exist
 */
export function claimsOf(
  pod: Manifest,
  { uid, claim, claimNames, templates, store }: {
    /** The pod's. */
    readonly uid: string;
    /** A claim of the pod's namespace. */
    readonly claim: (name: string) => StoredClaim | undefined;
    /** The names of all claims: NAMESPACE/NAME. */
    readonly claimNames: () => string[];
    /** By NAMESPACE/NAME. */
    readonly templates: ReadonlyMap<string, Manifest>;
    readonly store: (claim: Manifest) => StoredClaim;
  },
): PodClaim[] {
  const { namespace = "default", name } = pod.metadata;
  const { resourceClaims, containers = [], initContainers = [] } = pod.spec as Readonly<
    Record<string, Fields[]>
  >;
  const stored = (entry: Fields): StoredClaim => {
    const at = `pod ${name}: spec.resourceClaims ${entry.name}`;
    if (typeof entry.resourceClaimName === "string") {
      const found = claim(entry.resourceClaimName);
      if (found) return found;
      const wanted = `${namespace}/${entry.resourceClaimName}`;
      const meant = meantBy(wanted, claimNames(), {
        kind: "ResourceClaimTemplate",
        names: [...templates.keys()],
      });
      throw new Error(`${at}: there is no ResourceClaim ${wanted}${meant}`);
    }
    const wanted = `${namespace}/${entry.resourceClaimTemplateName}`;
    const template = templates.get(wanted);
    if (template) return store(claimFrom(template, { pod, uid, entry: `${entry.name}` }));
    const meant = meantBy(wanted, [...templates.keys()], {
      kind: "ResourceClaim",
      names: claimNames(),
    });
    throw new Error(`${at}: there is no ResourceClaimTemplate ${wanted}${meant}`);
  };
  const users = (entry: Fields) => (container: string) =>
    [...initContainers ?? [], ...containers].some(({ name, resources }) => {
      const { claims = [] } = (resources ?? {}) as { claims?: Fields[] };
      return name === container && (claims ?? []).some((use) => use.name === entry.name);
    });
  return (resourceClaims ?? []).map((entry) => ({ stored: stored(entry), isUsedBy: users(entry) }));
}

/** ` (did you mean "default/lan"?)` and the like, or nothing. */
function meantBy(
  wanted: string,
  names: readonly string[],
  { kind, names: others }: {
    readonly kind: keyof typeof POD_FIELDS;
    readonly names: readonly string[];
  },
): string {
  const other = namesake(wanted, names, { kind, field: POD_FIELDS[kind], names: others });
  return other === undefined ? didYouMean(wanted, names) : ` (${other})`;
}

/** Creates the claim as Kubernetes' resource claim controller does. */
function claimFrom(
  template: Manifest,
  { pod, uid, entry }: { readonly pod: Manifest; readonly uid: string; readonly entry: string },
): Manifest {
  const { namespace = "default", name } = pod.metadata;
  return {
    apiVersion: CLAIM_API,
    kind: "ResourceClaim",
    metadata: {
      name: `${name}-${entry}-${crypto.randomUUID().slice(0, 5)}`,
      namespace,
      annotations: { "resource.kubernetes.io/pod-claim-name": entry },
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid, controller: true }],
    } as Manifest["metadata"],
    spec: (template.spec as Fields | undefined)?.spec,
  };
}
