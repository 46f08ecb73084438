/** A ResourceSlice (resource.k8s.io/v1) as far as it is read and written here. */
export interface ResourceSlice {
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly resourceVersion?: string;
    readonly ownerReferences?: readonly unknown[];
  };
  readonly spec: {
    readonly driver: string;
    readonly nodeName: string;
    readonly pool: {
      readonly name: string;
      readonly generation: number;
      readonly resourceSliceCount: number;
    };
    readonly devices?: readonly SliceDevice[];
  };
}

export interface SliceDevice {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly allowMultipleAllocations?: boolean;
  readonly capacity?: Readonly<Record<string, unknown>>;
  readonly taints?: readonly Taint[];
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
  /** The API server's: when it first saw the taint. */
  readonly timeAdded?: string;
}
