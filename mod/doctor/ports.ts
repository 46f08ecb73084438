/** An answer of the API server, and when it gave it by its own clock. */
export interface Answer {
  readonly body: unknown;
  /** Absent where the answer has no date. To the second. */
  readonly date?: Date;
}

/** The API server with the user's rights, besides lists. Every request has a limit. */
export interface DoctorApi {
  /** @throws ReadError */
  get(path: string, signal: AbortSignal): Promise<Answer>;
  /** An answer that is not JSON. @throws ReadError */
  text(path: string, signal: AbortSignal): Promise<string>;
  /** Asks for an access review, which keeps nothing. @throws ReadError */
  review(path: string, body: unknown, signal: AbortSignal): Promise<unknown>;
}
