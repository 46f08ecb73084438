/** How much something concerns the person who migrates. */
export type Level =
  /** It stays with Multus. */
  | "left"
  /** It has moved, and a person must decide or do something. */
  | "decide"
  /** It has moved, and looks different from before. */
  | "note";

/** Something to know about an object. */
export interface Finding {
  readonly level: Level;
  readonly file: string;
  readonly line: number;
  /** `Deployment web` */
  readonly object: string;
  /** With the field, where there is one. */
  readonly message: string;
}

/** What became of a definition. */
export interface NetworkOutcome {
  readonly file: string;
  readonly line: number;
  /** `NAMESPACE/NAME` */
  readonly network: string;
  /** Undefined where it stays with Multus. */
  readonly deviceClass?: string;
  /** The Network that gives its addresses, if one does. */
  readonly networkObject?: string;
}

/** What became of a workload. */
export interface WorkloadOutcome {
  readonly file: string;
  readonly line: number;
  /** `Deployment web` */
  readonly object: string;
  readonly namespace: string;
  /** Undefined where it stays with Multus. */
  readonly moved?: {
    readonly resourceClaimTemplate: string;
    /** In the order of the annotation. */
    readonly interfaces: readonly MovedInterface[];
  };
}

export interface MovedInterface {
  readonly interface: string;
  readonly network: string;
  readonly deviceClass: string;
}
