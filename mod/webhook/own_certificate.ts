import type { Clock } from "../async/clock.ts";
import { issueCertificate, type IssuedCertificate, stateOf } from "../certificates/issued.ts";
import { authoritiesIn, bundleOf } from "../certificates/trust_bundle.ts";
import type { CertificateStore, StoredCertificate } from "./ports.ts";

/** API servers learn within this time whom to trust; only then a new certificate takes the old one's place. */
const LEARNED_MS = 60_000;
/** Authorities of certificates before are trusted so long after the new one was made, or longer. */
const TRUSTED_FOR_MS = 3_600_000;
/** Another replica may be first to write, which is seen by reading again. */
const TRIES = 5;

export interface OwnCertificateOptions {
  /** The DNS names by which API servers call the webhook. */
  readonly names: readonly string[];
  readonly log: { info(message: string, about: Record<string, unknown>): void };
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * The webhook's certificate, made by itself. All replicas share it through a Secret: each looks at it
 * every few seconds, and whoever first finds it missing, damaged or due writes another one. No request
 * fails meanwhile: API servers trust the new authority before any replica serves with it, and the old
 * one for an hour.
 */
export class OwnCertificate {
  readonly #store: CertificateStore;
  readonly #options: OwnCertificateOptions;
  #served: IssuedCertificate | undefined;
  /** The newest certificate whose authority is known to be trusted, and since when. */
  #trusted: { readonly cert: string; readonly since: number } | undefined;

  constructor(store: CertificateStore, options: OwnCertificateOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The certificate to serve with now. @throws Error if the API server does not let it be known */
  async read(): Promise<IssuedCertificate> {
    const { names, clock } = this.#options;
    const { certificate, made, now } = await this.#shared();
    const { cert } = certificate;
    const last = this.#served;
    const isNew = now.getTime() - made.getTime() < TRUSTED_FOR_MS;
    await this.#trust(certificate, { keepsOthers: isNew || last?.cert !== cert });
    if (this.#trusted?.cert !== cert) this.#trusted = { cert, since: clock.elapsed() };
    const isLearned = clock.elapsed() - this.#trusted.since >= LEARNED_MS;
    if (last && !isLearned && stateOf(last, { names, now }).is === "valid") return last;
    return this.#served = certificate;
  }

  /** The certificate that the replicas share; makes one where it is time. */
  async #shared(): Promise<{ certificate: IssuedCertificate; made: Date; now: Date }> {
    const { names, log, clock, signal } = this.#options;
    for (let tries = 0; tries < TRIES; tries++) {
      const stored = await this.#store.read(signal);
      const { certificate, version, now = clock.now() } = stored;
      const why = whyAnother(stored, { names, now });
      if (typeof why !== "string") return { certificate, made: why.made, now };
      const made = issueCertificate(names, now);
      if (await this.#store.write(made, { version, signal })) {
        log.info("made a new certificate", { why });
      }
    }
    throw new Error("others change the Secret again and again");
  }

  /** Lets API servers trust the authority, beside others or alone. */
  async #trust(
    { ca }: IssuedCertificate,
    { keepsOthers }: { readonly keepsOthers: boolean },
  ): Promise<void> {
    const { signal } = this.#options;
    for (let tries = 0; tries < TRIES; tries++) {
      const trust = await this.#store.readTrust(signal);
      const bundle = bundleOf(authoritiesIn([ca, ...keepsOthers ? trust.bundles : []]));
      if (trust.bundles.every((each) => each === bundle)) return;
      if (await this.#store.writeTrust(bundle, { trust, signal })) return;
    }
    throw new Error("others change the ValidatingWebhookConfiguration again and again");
  }
}

/** Why another certificate must be made, or when the stored one was. */
function whyAnother(
  { certificate }: StoredCertificate,
  { names, now }: { readonly names: readonly string[]; readonly now: Date },
): string | { readonly made: Date } {
  if (certificate.cert === "" && certificate.key === "") return "there is none";
  const state = stateOf(certificate, { names, now });
  if (state.is === "unusable") return state.why;
  return now >= state.renew ? `it is time: it was made at ${state.made.toISOString()}` : state;
}
