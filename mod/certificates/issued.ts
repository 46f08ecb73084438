import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { errorMessage } from "../async/error_message.ts";
import type { Certificate } from "./certificate.ts";
import { authorityUse, serverNames, serverUse, signCertificate } from "./x509.ts";

const DAY_MS = 24 * 3_600_000;
/** How far clocks may be apart: a new certificate is valid from so long before. */
const EARLIER_MS = DAY_MS;
const VALID_MS = 90 * DAY_MS;
/** After this, it is time for another. */
const RENEWED_AFTER_MS = 60 * DAY_MS;

/** A certificate with the authority that clients trust it by, all in PEM. */
export interface IssuedCertificate extends Certificate {
  readonly ca: string;
}

/**
 * A new authority and a certificate of it for servers of these DNS names, valid for 90 days. The
 * authority signs nothing else: its key is not kept.
 */
export function issueCertificate(names: readonly string[], now: Date): IssuedCertificate {
  const [authority, server] = [newKey(), newKey()];
  const name = `network-dra ${crypto.randomUUID()}`;
  // Certificates have whole seconds.
  const second = Math.floor(now.getTime() / 1000) * 1000;
  const validity = { validFrom: second - EARLIER_MS, validTo: second + VALID_MS };
  const ca = signCertificate({
    ...validity,
    subject: name,
    issuer: name,
    extensions: authorityUse(authority.publicKey),
    publicKey: authority.publicKey,
  }, authority.privateKey);
  const cert = signCertificate({
    ...validity,
    subject: names[0]!.slice(0, MOST_COMMON_NAME),
    issuer: name,
    extensions: [serverNames(names), ...serverUse(authority.publicKey)],
    publicKey: server.publicKey,
  }, authority.privateKey);
  return { ca, cert, key: server.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}

/** Characters of a common name (RFC 5280, ub-common-name). */
const MOST_COMMON_NAME = 64;

function newKey() {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** What becomes of an issued certificate. */
export type IssuedState =
  | {
    readonly is: "valid";
    /** When it was made, and when it is time for another. */
    readonly made: Date;
    readonly renew: Date;
  }
  | { readonly is: "unusable"; readonly why: string };

/** Whether a certificate, which others may have changed, can be served for these names. */
export function stateOf(
  { ca, cert, key }: IssuedCertificate,
  { names, now }: { readonly names: readonly string[]; readonly now: Date },
): IssuedState {
  try {
    const [authority, server] = [new X509Certificate(ca), new X509Certificate(cert)];
    const missing = names.find((each) => server.checkHost(each) === undefined);
    const why = !server.checkPrivateKey(createPrivateKey(key))
      ? "its key is of another certificate"
      : !authority.ca || !server.checkIssued(authority) || !server.verify(authority.publicKey)
      ? "it is not signed by its authority"
      : missing !== undefined
      ? `it is not for ${missing}`
      : outOfTime(server, now) ?? outOfTime(authority, now);
    if (why !== undefined) return { is: "unusable", why };
    const made = Date.parse(server.validFrom) + EARLIER_MS;
    return { is: "valid", made: new Date(made), renew: new Date(made + RENEWED_AFTER_MS) };
  } catch (error) {
    return { is: "unusable", why: `it cannot be read: ${errorMessage(error)}` };
  }
}

function outOfTime(
  { validFrom, validTo }: X509Certificate,
  now: Date,
): string | undefined {
  if (now.getTime() < Date.parse(validFrom)) return `it is not valid before ${validFrom}`;
  return now.getTime() >= Date.parse(validTo) ? `it has expired at ${validTo}` : undefined;
}
