/** A device of the node as someone sees it who looks. */
export interface DeviceLook {
  readonly name: string;
  /** The node's interface behind it; absent for networks that need none. */
  readonly interface?: string;
  /** "gone": a claim holds it, and its interface is not on the node any more. */
  readonly state: "up" | "down" | "gone";
}
