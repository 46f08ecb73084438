type Fields = Record<string, unknown>;

/** A ResourceSlice as the API server keeps it. */
export interface StoredSlice extends Fields {
  readonly metadata: Fields & { readonly name: string; readonly resourceVersion: string };
  readonly spec: Fields & {
    readonly driver: string;
    readonly nodeName: string;
    readonly pool: { readonly name: string; readonly generation: number };
    readonly devices?: StoredDevice[];
  };
}

export interface StoredDevice extends Fields {
  readonly name: string;
  readonly taints?: Fields[];
  readonly capacity?: Record<string, Fields>;
}
