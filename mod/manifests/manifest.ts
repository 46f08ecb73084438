export type Fields = Readonly<Record<string, unknown>>;

/** An object of the API, in resource.k8s.io/v1 where it is of that group. */
export interface Manifest extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The objects in a list; none if it is not a list, as in an invalid manifest. */
export function objectsIn(value: unknown): Fields[] {
  if (!Array.isArray(value)) return [];
  return value.filter((each) => typeof each === "object" && each !== null);
}
