import { type Backoff, pauseAfter } from "../async/backoff.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Certificate } from "../certificates/certificate.ts";
import { certificates } from "./certificate.ts";
import { HttpsServer } from "./https_server.ts";
import { describeAddress, type ListenAddress } from "./serve.ts";
import type { ServeRenewedOptions } from "./serve_renewed.ts";

/** Between two tries to listen. */
const RETRY: Backoff = { first: 250, most: 10_000 };

/**
 * Serves by HTTPS until the signal is aborted. A certificate that is renewed takes the place of the one
 * before for new connections, and no request fails for it.
 */
export async function serveSeamlessly(
  address: ListenAddress,
  handler: (request: Request) => Promise<Response>,
  { certificate: read, secured, ...options }: ServeRenewedOptions,
): Promise<void> {
  const { what, log, clock, signal } = options;
  let server: HttpsServer | undefined;
  for await (const certificate of certificates(read, { what: secured, log, clock, signal })) {
    if (server) server.use(certificate);
    else server = await listen(address, handler, { ...options, certificate });
    if (server) log.info(`${what} are served`, { address: describeAddress(address) });
  }
  await server?.close();
}

/** A server; undefined once the signal is aborted. A port that cannot be had is tried again. */
async function listen(
  address: ListenAddress,
  handler: (request: Request) => Promise<Response>,
  { what, flag, certificate, log, clock, signal }:
    & Omit<ServeRenewedOptions, "certificate" | "secured">
    & { readonly certificate: Certificate },
): Promise<HttpsServer | undefined> {
  const problem = new WarnOnce(log);
  const failed = (error: unknown) =>
    log.error(`cannot answer a request for ${what}`, { error: errorMessage(error) });
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      return await HttpsServer.listen(address, { certificate, handler, failed });
    } catch (error) {
      problem.say(`cannot serve ${what}; trying again (set ${flag} to another address)`, {
        address: describeAddress(address),
        error: errorMessage(error),
      });
    }
    await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
  }
  return undefined;
}
