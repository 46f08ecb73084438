import { generateKeyPairSync } from "node:crypto";
import type { Certificate } from "./certificate.ts";
import { serverNames, signCertificate } from "./x509.ts";

const DAY_MS = 24 * 3_600_000;
/** It is made anew at each start of the agent. */
const DAYS = 3_650;

/**
 * A new key and a certificate of its own for servers of these DNS names, for clients that do not
 * verify: an X.509 version 3 certificate (RFC 5280) with an ECDSA key, valid for ten years.
 */
export function selfSigned(names: readonly string[], now: Date): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const validFrom = now.getTime() - DAY_MS;
  const cert = signCertificate({
    subject: "network-dra",
    issuer: "network-dra",
    validFrom,
    validTo: validFrom + DAYS * DAY_MS,
    extensions: [serverNames(names)],
    publicKey,
  }, privateKey);
  return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}
