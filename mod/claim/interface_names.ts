import type { Attachment, ClaimRef } from "./attachment.ts";
import { FieldError, show } from "./field.ts";

/** The kernel's limit (IFNAMSIZ less the final zero). */
const MOST_BYTES = 15;

/** An interface name as the kernel and libcni take it. @throws FieldError */
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

/** A claim's attachments, as far as their names matter. */
export interface NamedClaim {
  readonly claim: ClaimRef;
  readonly attachments: readonly Attachment[];
}

/**
 * Names a claim's interfaces so that they are unique in the pod: given names stand, the others
 * become the first of net1, net2, … that is free.
 *
 * @param others the other claims of the pod, whose names are taken
 * @throws Error that names both sides when two attachments were given one name
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
    if (owner !== undefined) {
      throw new Error(
        `the interface name ${show(name)} is requested twice in the pod: by ${owner} and by ` +
          `${describe(own.claim, attachment)}; give one of them another name`,
      );
    }
    taken.set(name, describe(own.claim, attachment));
  }
  let number = 1;
  return own.attachments.map((attachment) => {
    if (attachment.ifNameGiven) return attachment;
    while (taken.has(`net${number}`)) number++;
    return { ...attachment, ifName: `net${number++}` };
  });
}

function describe(claim: ClaimRef, { request }: Attachment): string {
  return `claim ${claim.namespace}/${claim.name} request ${request}`;
}
