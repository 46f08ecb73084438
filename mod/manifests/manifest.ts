export type Fields = Readonly<Record<string, unknown>>;

/** An object of the API, in resource.k8s.io/v1 where it is of that group. */
export interface Manifest extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
