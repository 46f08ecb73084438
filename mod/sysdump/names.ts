import type { ClusterPicture } from "../cluster/picture.ts";
import type { NameKind, Redactor } from "./redactor.ts";

// deno-lint-ignore no-explicit-any -- objects as the API server, or an agent, gives them
type Raw = any;

/** Teaches the names of what a picture shows. */
export function learnFromPicture(redactor: Redactor, picture: ClusterPicture): void {
  for (const { name } of picture.nodes) redactor.learn("node", name);
  for (const { namespace, name, node } of picture.pods) {
    redactor.learn("pod", name);
    redactor.learn("namespace", namespace);
    redactor.learn("node", node);
  }
  for (const { namespace, name, pods } of picture.claims) {
    redactor.learn("claim", name);
    redactor.learn("namespace", namespace);
    for (const pod of pods) redactor.learn("pod", pod.name);
  }
  for (const { namespace, name } of picture.templates) {
    redactor.learn("claim", name);
    redactor.learn("namespace", namespace);
  }
}

const KINDS: Readonly<Record<string, NameKind>> = {
  Node: "node",
  Pod: "pod",
  ResourceClaim: "claim",
  ResourceClaimTemplate: "claim",
};

/** Addresses of nodes that are names. */
const NAME_ADDRESSES: readonly string[] = ["Hostname", "InternalDNS", "ExternalDNS"];

/** Teaches the names that an object has or gives. */
export function learnFromObject(redactor: Redactor, kind: string, object: Raw): void {
  const { metadata = {}, spec = {}, status = {}, involvedObject } = object;
  const known = KINDS[kind];
  if (known) redactor.learn(known, metadata.name);
  redactor.learn("namespace", metadata.namespace);
  redactor.learn("node", spec.nodeName);
  for (const { kind, name } of metadata.ownerReferences ?? []) {
    if (KINDS[kind]) redactor.learn(KINDS[kind], name);
    else if (known === "pod" && kind !== "DaemonSet") learnWorkload(redactor, name);
  }
  for (const { type, address } of kind === "Node" ? status.addresses ?? [] : []) {
    if (NAME_ADDRESSES.includes(type)) redactor.learn("node", address);
  }
  for (const each of spec.resourceClaims ?? []) {
    redactor.learn("claim", each.resourceClaimName);
    redactor.learn("claim", each.resourceClaimTemplateName);
  }
  for (const { resourceClaimName } of status.resourceClaimStatuses ?? []) {
    redactor.learn("claim", resourceClaimName);
  }
  for (const { resource, name } of status.reservedFor ?? []) {
    if (resource === "pods") redactor.learn("pod", name);
  }
  if (involvedObject) {
    const { kind, name, namespace } = involvedObject;
    if (KINDS[kind]) redactor.learn(KINDS[kind], name);
    redactor.learn("namespace", namespace);
  }
}

/** A ReplicaSet's name, and that of its Deployment, whose name it has with a hash behind it. */
function learnWorkload(redactor: Redactor, name: string): void {
  redactor.learn("workload", name);
  redactor.learn("workload", name.replace(/-[a-z0-9]{5,10}$/, ""));
}

const LABEL = "[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?";
/** As messages of the agent, the kubelet and the scheduler name what may be gone by now. */
const NAMED = new RegExp(`\\b(pod|claim|resourceclaim)s?[\\s"'=:]{1,3}(${LABEL})/(${LABEL})`, "gi");
const NODE = new RegExp(`\\bnode(?:\\s+|=|":\\s*")"?(${LABEL})`, "g");

/** As the API server names who has no right. */
const USER = /\bUser \\?"([A-Za-z0-9][A-Za-z0-9._-]*)\\?"/g;

/** Teaches the names that a log or another text gives by their kinds: `pod shop/web`. */
export function learnFromText(redactor: Redactor, text: string): void {
  for (const [, name] of text.matchAll(USER)) redactor.learn("user", name);
  for (const [, kind = "", namespace, name] of text.matchAll(NAMED)) {
    redactor.learn("namespace", namespace);
    redactor.learn(kind.toLowerCase() === "pod" ? "pod" : "claim", name);
  }
  for (const [, name = ""] of text.matchAll(NODE)) {
    // "node is", "node has": words, and no names that anybody could find out.
    if (/[0-9.-]/.test(name)) redactor.learn("node", name);
  }
}

/** Teaches the names in an agent's status document, such as those of pods that are gone. */
export function learnFromStatus(redactor: Redactor, document: Raw): void {
  const learn = (kind: NameKind, named: Raw) => {
    redactor.learn(kind, named?.name);
    redactor.learn("namespace", named?.namespace);
  };
  for (const { node } of document?.agents ?? []) redactor.learn("node", node);
  for (const { pod } of document?.sandboxes ?? []) learn("pod", pod);
  for (const { pod, claim } of document?.attachments ?? []) {
    learn("pod", pod);
    learn("claim", claim);
  }
  for (const claim of document?.claims ?? []) {
    learn("claim", claim);
    for (const pod of claim.pods ?? []) redactor.learn("pod", String(pod).split("/").at(-1));
  }
}
