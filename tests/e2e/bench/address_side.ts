import type { Attachment } from "./ipam_program.ts";

/** A way to give addresses of the whole cluster. */
export interface AddressSide {
  readonly name: string;
  /** The places in the range that are in use, as the API server has them. */
  used(): Promise<ReadonlySet<number>>;
  /** Takes these places for others. */
  occupy(offsets: readonly number[]): Promise<void>;
  /** Gives the address that the attachment has got. @throws Error */
  attach(attachment: Attachment): Promise<string>;
}
