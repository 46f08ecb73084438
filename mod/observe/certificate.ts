import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Log } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Certificate } from "../certificates/certificate.ts";

/** The certificate as it is now. @throws Error that says what is wrong with it */
export type ReadCertificate = () => Promise<Certificate>;

/** How often it is looked whether the certificate is another, in milliseconds. */
const INTERVAL_MS = 10_000;

/** Reads the certificate and its key from files, which others renew. */
export function certificateFiles(
  paths: { readonly cert: string; readonly key: string },
): ReadCertificate {
  return async () => {
    const [cert, key] = await Promise.all([
      Deno.readTextFile(paths.cert),
      Deno.readTextFile(paths.key),
    ]);
    // They are renewed one after the other: the key may be of another certificate for a moment.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error(`${paths.key} is not the key of the certificate in ${paths.cert}`);
    }
    return { cert, key };
  };
}

/** The certificate, and each one that takes its place, until the signal is aborted. */
export async function* certificates(
  read: ReadCertificate,
  { what, log, clock, signal }: {
    /** What is served with it, in words. */
    readonly what: string;
    readonly log: Log;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<Certificate> {
  const problem = new WarnOnce(log);
  let last: Certificate | undefined;
  while (!signal.aborted) {
    try {
      const next = await read();
      problem.over();
      if (next.cert !== last?.cert || next.key !== last.key) {
        last = next;
        yield next;
      }
    } catch (error) {
      const meanwhile = last ? "the previous one is used" : `${what} are not served`;
      problem.say(`cannot use the certificate for ${what}; ${meanwhile} until it is right`, {
        error: errorMessage(error),
      });
    }
    await clock.sleep(INTERVAL_MS, signal).catch(() => {});
  }
}
