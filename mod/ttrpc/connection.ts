/** A connection that carries bytes both ways, such as one channel of NRI's multiplexer. */
export interface ByteConnection {
  /** Pieces as they come; ends when the peer closed. */
  readonly incoming: AsyncIterable<Uint8Array>;
  /** Resolves when the bytes are handed on; writes keep the order of their calls. */
  write(bytes: Uint8Array): Promise<void>;
}
