import type { IssuedCertificate } from "../certificates/issued.ts";

/** What the webhook needs of the API server to make its certificate itself. */
export interface CertificateStore {
  /** The Secret as it is. @throws Error if there is none, or no answer comes */
  read(signal: AbortSignal): Promise<StoredCertificate>;
  /**
   * Writes the Secret if it is still the one that was read; gives whether it was.
   *
   * @throws Error if it is refused, or no answer comes
   */
  write(
    certificate: IssuedCertificate,
    options: { readonly version: string; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** Whom the API server trusts. @throws Error as above */
  readTrust(signal: AbortSignal): Promise<Trust>;
  /** Sets each of the bundles if they are still those that were read; gives whether they were. */
  writeTrust(
    bundle: string,
    options: { readonly trust: Trust; readonly signal: AbortSignal },
  ): Promise<boolean>;
}

export interface StoredCertificate {
  /** Of the object, for {@link CertificateStore.write}. */
  readonly version: string;
  /** Empty text where the Secret has none, or what is there is not text. */
  readonly certificate: IssuedCertificate;
  /** By the clock of the API server, where it tells: it is what verifies the certificate. */
  readonly now?: Date;
}

/** The bundles of a ValidatingWebhookConfiguration's webhooks, in PEM, in their order. */
export interface Trust {
  readonly version: string;
  readonly bundles: readonly string[];
}
