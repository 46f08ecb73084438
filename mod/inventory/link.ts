/** A network link of the node. */
export interface Link {
  readonly name: string;
  readonly index: number;
  /** `physical`, `bond`, `bridge`, `vlan`, `veth`, …: the kernel's word where it has one. */
  readonly type: string;
  /** The index that the kernel names as the other side: of a veth its peer's, in whatever namespace. */
  readonly peer: number;
  /** Set up by the administrator, and with a carrier where it needs one. */
  readonly up: boolean;
  readonly mtu: number;
  /** In lower case; undefined where there is none. */
  readonly mac?: string;
  /** Mbit/s, where the link says so. */
  readonly speed?: number;
  /** Not hardware. */
  readonly virtual: boolean;
  /** A port of a bridge, a bond, a virtual switch or the like, which takes all that it receives. */
  readonly port: boolean;
  readonly numaNode?: number;
  /** `0000:00:03.0` */
  readonly pciBusId?: string;
  /** `pci0000:00` */
  readonly pcieRoot?: string;
}
