import type { Attachment, ClaimRef } from "./attachment.ts";
import { FieldError, show } from "./field.ts";

/** The kernel's limit (IFNAMSIZ less the final zero). */
const MOST_BYTES = 15;

/**
 * Returns the name if the kernel and libcni accept it as the name of an interface.
 *
 * @param path the path of the name, for errors
 * @throws FieldError
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseInterfaceName } from "./interface_names.ts";
 *
 * assert.equal(parseInterfaceName("net1", "ifName"), "net1");
 * assert.throws(() => parseInterfaceName("net%d", "ifName"), /must not contain "%"/);
 * ```
 */
export function parseInterfaceName(name: string, path: string): string {
  const bytes = new TextEncoder().encode(name).length;
  const problem = bytes < 1 || bytes > MOST_BYTES
    ? `has ${bytes} bytes; it must have 1 to ${MOST_BYTES}`
    : name === "." || name === ".."
    ? "is not allowed"
    // White space as plugins have it (Go's unicode.IsSpace), who refuse the name for DEL too.
    // deno-lint-ignore no-control-regex
    : /[/:\s\x00\x85]/.test(name)
    ? 'must not contain "/", ":" or white space'
    // The kernel makes net0 of net%d: plugins lose what they have made, and DEL does not find it.
    : name.includes("%")
    ? 'must not contain "%"'
    : undefined;
  if (problem) throw new FieldError(path, `the interface name ${show(name)} ${problem}`);
  return name;
}

/** Whether it is one of the names that interfaces get for which the claim gives none. */
export function isDefaultName(name: string): boolean {
  return /^net[1-9][0-9]{0,5}$/.test(name);
}

/** A claim's attachments, as far as their names matter. */
export interface NamedClaim {
  readonly claim: ClaimRef;
  readonly attachments: readonly Attachment[];
}

/**
 * Names a claim's interfaces so that they are unique in the pod: requested names are kept, those of an
 * earlier run as far as they are free, and the others get the first of net1, net2, … that is free.
 *
 * @param others the other claims of the pod, whose names are in use
 * @throws Error that names both attachments when two request the same name
 */
export function assignInterfaceNames(
  own: NamedClaim,
  others: readonly NamedClaim[],
): Attachment[] {
  const taken = new Map<string, string>();
  for (const other of others) {
    for (const attachment of other.attachments) {
      taken.set(attachment.ifName, describe(other.claim, attachment));
    }
  }
  for (const attachment of own.attachments) {
    if (!attachment.ifNameGiven) continue;
    const name = attachment.ifName;
    const owner = taken.get(name);
    const asking = describe(own.claim, attachment);
    if (owner !== undefined) {
      const twice = `the interface name ${show(name)} is requested twice in the pod: by ${owner}`;
      throw new Error(
        owner === asking
          ? `${twice}, which has several devices; leave interfaceName out`
          : `${twice} and by ${asking}; give one of them a different name`,
      );
    }
    taken.set(name, asking);
  }
  const kept = new Set<Attachment>();
  for (const attachment of own.attachments) {
    const { ifName, ifNameGiven } = attachment;
    if (ifNameGiven || ifName === "" || taken.has(ifName)) continue;
    kept.add(attachment);
    taken.set(ifName, describe(own.claim, attachment));
  }
  let number = 1;
  return own.attachments.map((attachment) => {
    if (attachment.ifNameGiven || kept.has(attachment)) return attachment;
    while (taken.has(`net${number}`)) number++;
    return { ...attachment, ifName: `net${number++}` };
  });
}

function describe(claim: ClaimRef, { request }: Attachment): string {
  return `claim ${claim.namespace}/${claim.name} request ${request}`;
}
