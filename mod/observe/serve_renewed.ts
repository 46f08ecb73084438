import { certificates, type ReadCertificate } from "./certificate.ts";
import { type ListenAddress, serve, type ServeOptions } from "./serve.ts";

/** As of {@link serve}, with a certificate that others renew. */
export interface ServeRenewedOptions extends Omit<ServeOptions, "certificate"> {
  readonly certificate: ReadCertificate;
  /** What the certificate is for, in words. */
  readonly secured: string;
}

/**
 * Serves by HTTPS until the signal is aborted. A certificate that is renewed takes the place of the one
 * before.
 */
export async function serveRenewed(
  address: ListenAddress,
  handler: (request: Request) => Promise<Response>,
  { certificate: read, secured, ...options }: ServeRenewedOptions,
): Promise<void> {
  const { log, clock, signal } = options;
  let serving: { readonly end: AbortController; readonly done: Promise<void> } | undefined;
  for await (const certificate of certificates(read, { what: secured, log, clock, signal })) {
    serving?.end.abort();
    await serving?.done;
    const end = new AbortController();
    const until = AbortSignal.any([signal, end.signal]);
    serving = { end, done: serve(address, handler, { ...options, certificate, signal: until }) };
  }
  await serving?.done;
}
