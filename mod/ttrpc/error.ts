/** The codes of google.rpc.Code that ttrpc peers exchange. */
export const Code = {
  OK: 0,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  ResourceExhausted: 8,
  Unimplemented: 12,
  Unavailable: 14,
} as const;

/** A call that failed: with the status the peer gave, or one of our own. */
export class TtrpcError extends Error {
  override readonly name = "TtrpcError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
