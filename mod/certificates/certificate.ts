/** A server's certificate, with those that it builds on, and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}
