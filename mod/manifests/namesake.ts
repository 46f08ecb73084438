/**
 * What to do about an object that is missing while there is one of its name in another namespace, or of
 * the other of the two kinds that pods can name; undefined where there is neither.
 *
 * @param wanted NAMESPACE/NAME
 * @param names of all of its kind, likewise
 * @param other the other kind, how pods name it, and the names of all of it
 */
export function namesake(
  wanted: string,
  names: readonly string[],
  other: { readonly kind: string; readonly field: string; readonly names: readonly string[] },
): string | undefined {
  if (other.names.includes(wanted)) {
    return `${wanted} is a ${other.kind}: name it in ${other.field}`;
  }
  const nameOf = (full: string) => full.split("/")[1];
  const elsewhere = names.find((each) => each !== wanted && nameOf(each) === nameOf(wanted));
  return elsewhere && `${elsewhere} cannot be used: a pod uses what is in its own namespace`;
}

/** The kinds that pods name, each with the field for it. */
export const POD_FIELDS = {
  ResourceClaim: "resourceClaimName",
  ResourceClaimTemplate: "resourceClaimTemplateName",
} as const;
