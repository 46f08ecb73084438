import { generateKeyPairSync, sign } from "node:crypto";
import { Buffer } from "node:buffer";
import type { Certificate } from "./certificate.ts";

const DAY_MS = 24 * 3_600_000;
/** It is made anew at each start of the agent. */
const DAYS = 3_650;

const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  /** In SubjectAltName. */
  dnsName: 0x82,
  version: 0xa0,
  extensions: 0xa3,
} as const;

/** DER of object identifiers. */
const OID = {
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
} as const;

/**
 * A new key and a certificate of its own for servers of these DNS names, for clients that do not
 * verify: an X.509 version 3 certificate (RFC 5280) with an ECDSA key, valid for ten years.
 */
export function selfSigned(names: readonly string[], now: Date): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = der(TAG.sequence, der(TAG.oid, OID.ecdsaWithSha256));
  const commonName = der(
    TAG.sequence,
    der(TAG.oid, OID.commonName),
    der(TAG.utf8String, text("network-dra")),
  );
  const name = der(TAG.sequence, der(TAG.set, commonName));
  const alternatives = der(TAG.sequence, ...names.map((each) => der(TAG.dnsName, text(each))));
  const extension = der(
    TAG.sequence,
    der(TAG.oid, OID.subjectAltName),
    der(TAG.octetString, alternatives),
  );
  const from = now.getTime() - DAY_MS;
  const toBeSigned = der(
    TAG.sequence,
    der(TAG.version, der(TAG.integer, [2])),
    der(TAG.integer, [1, ...crypto.getRandomValues(new Uint8Array(15))]),
    algorithm,
    name,
    der(TAG.sequence, utcTime(from), utcTime(from + DAYS * DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(TAG.extensions, der(TAG.sequence, extension)),
  );
  const signature = sign("sha256", toBeSigned, privateKey);
  const certificate = der(
    TAG.sequence,
    toBeSigned,
    algorithm,
    der(TAG.bitString, [0], signature),
  );
  return {
    cert: pem(certificate),
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

/** A value with its tag and length (X.690, definite form). */
function der(tag: number, ...contents: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const content = Buffer.concat(contents.map((each) => Uint8Array.from(each)));
  const { length } = content;
  if (length < 0x80) return Uint8Array.from([tag, length, ...content]);
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Uint8Array.from([tag, 0x80 | bytes.length, ...bytes, ...content]);
}

/** `YYMMDDHHMMSSZ`, which is for years until 2049. */
function utcTime(time: number): Uint8Array {
  const digits = new Date(time).toISOString().replaceAll(/\D/g, "").slice(2, 14);
  return der(TAG.utcTime, text(`${digits}Z`));
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function pem(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g)!;
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
