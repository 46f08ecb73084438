import { type AttachmentSnapshot, type ClaimSnapshot, STATES } from "../agent/snapshot/snapshot.ts";
import type { StatusDocument } from "./document.ts";

/** The same document with what is wrong first, and then in the order of names. Pure. */
export function sorted(document: StatusDocument): StatusDocument {
  return {
    ...document,
    attachments: document.attachments.toSorted((a, b) =>
      STATES.indexOf(a.state) - STATES.indexOf(b.state) || compare(key(a), key(b))
    ),
    claims: document.claims.toSorted((a, b) =>
      rank(a) - rank(b) || compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`)
    ),
  };
}

function key({ pod, sandbox, interface: link }: AttachmentSnapshot): string {
  return [pod.namespace, pod.name, sandbox, link].join("/");
}

/** Refused claims come first, and those that wait for a sandbox before those that are attached. */
function rank({ state }: ClaimSnapshot): number {
  if (state === "refused") return -1;
  return state === "prepared" ? STATES.indexOf("attached") - 0.5 : STATES.indexOf(state);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
