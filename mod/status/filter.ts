import { nearest } from "../claim/did_you_mean.ts";
import { originalDevice } from "../claim/device_names.ts";
import type { StatusDocument } from "./document.ts";

/** What a name may stand for, and what there is of it. */
export type Found =
  | { readonly kind: "found"; readonly document: StatusDocument }
  /** Pods or claims of several namespaces have the name: `pod default/web`, … */
  | { readonly kind: "several"; readonly names: readonly string[] }
  /** `meant`: the known name that is nearest. */
  | { readonly kind: "none"; readonly meant?: string };

/** What of a document is kept, by identity. */
interface Kept {
  /** UIDs of pods and claims, and IDs of sandboxes. */
  readonly ids: ReadonlySet<string>;
  /** Interfaces of pods or of the node, and devices. */
  readonly links: ReadonlySet<string>;
}

/** A thing that has a name in a namespace. */
interface Named {
  readonly kind: "pod" | "claim";
  readonly namespace: string;
  readonly name: string;
  readonly id: string;
}

/**
 * What a document says of a pod, a claim or an interface. A pod and a claim are found by NAME,
 * NAMESPACE/NAME or UID, a sandbox by its ID; an interface of the node or of a pod only where no pod and
 * no claim has its name. Pure.
 */
export function filtered(document: StatusDocument, word: string): Found {
  const things = thingsOf(document);
  const byId = things.filter(({ id }) => id === word);
  const sandboxes = document.sandboxes.filter(({ id }) => id === word);
  if (byId.length + sandboxes.length > 0) return keep(document, { ids: new Set([word]) });
  const matching = things.filter(({ namespace, name }) =>
    word === name || word === `${namespace}/${name}`
  );
  if (new Set(matching.map(({ namespace }) => namespace)).size > 1) {
    const names = matching.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);
    return { kind: "several", names: [...new Set(names)].toSorted() };
  }
  if (matching.length > 0) return keep(document, { ids: new Set(matching.map(({ id }) => id)) });
  const links = linksOf(document);
  if (links.has(word)) return keep(document, { links: new Set([word]) });
  const known = things.flatMap(({ namespace, name }) =>
    word.includes("/") ? [`${namespace}/${name}`] : [name]
  );
  const meant = nearest(word, [...known, ...links]);
  return { kind: "none", ...(meant !== undefined && { meant }) };
}

function thingsOf({ attachments, sandboxes, claims }: StatusDocument): Named[] {
  const pods = [...attachments, ...sandboxes].map(({ pod }): Named => ({
    kind: "pod",
    namespace: pod.namespace,
    name: pod.name,
    id: pod.uid,
  }));
  const waiting = claims.flatMap(({ namespace, pods, uid }) =>
    pods.map((name): Named => ({ kind: "pod", namespace, name, id: uid }))
  );
  const own = [...claims, ...attachments.map(({ claim }) => claim)].map((
    { namespace, name, uid },
  ): Named => ({ kind: "claim", namespace, name, id: uid }));
  // A pod without a sandbox is known by its claims only.
  const seen = new Set(pods.map(({ namespace, name }) => `${namespace}/${name}`));
  const further = waiting.filter(({ namespace, name }) => !seen.has(`${namespace}/${name}`));
  return [...pods, ...further, ...own];
}

function linksOf({ attachments, devices }: StatusDocument): Set<string> {
  return new Set([
    ...attachments.map((each) => each.interface),
    ...devices.flatMap(({ name, interface: link }) => link === undefined ? [name] : [link, name]),
  ]);
}

function keep(
  document: StatusDocument,
  { ids = new Set(), links = new Set() }: Partial<Kept>,
): Found {
  const named = new Set(
    document.devices
      .filter(({ name, interface: link = name }) => links.has(name) || links.has(link))
      .map(({ name }) => name),
  );
  const attachments = document.attachments.filter(({ pod, claim, sandbox, device, ...each }) =>
    [pod.uid, claim.uid, sandbox].some((id) => ids.has(id)) || links.has(each.interface) ||
    named.has(originalDevice(device))
  );
  const claims = new Set(attachments.map(({ claim }) => claim.uid));
  const sandboxes = new Set(attachments.map(({ sandbox }) => sandbox));
  const networks = new Set(attachments.map(({ network }) => network));
  const devices = new Set([...named, ...attachments.map(({ device }) => originalDevice(device))]);
  return {
    kind: "found",
    document: {
      ...document,
      attachments,
      claims: document.claims.filter(({ uid, devices: held }) =>
        claims.has(uid) || ids.has(uid) || held.some((each) => named.has(originalDevice(each)))
      ),
      sandboxes: document.sandboxes.filter(({ id, pod }) =>
        sandboxes.has(id) || ids.has(id) || ids.has(pod.uid)
      ),
      devices: document.devices.filter(({ name }) => devices.has(name)),
      ...(document.leases && {
        leases: document.leases.filter(({ network }) => networks.has(network)),
      }),
    },
  };
}
