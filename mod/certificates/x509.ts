import { Buffer } from "node:buffer";
import { createHash, type KeyObject, sign } from "node:crypto";
import { der, derText, derTime, TAG } from "./der.ts";

/** DER of object identifiers. */
const OID = {
  commonName: [0x55, 0x04, 0x03],
  subjectKeyIdentifier: [0x55, 0x1d, 0x0e],
  keyUsage: [0x55, 0x1d, 0x0f],
  subjectAltName: [0x55, 0x1d, 0x11],
  basicConstraints: [0x55, 0x1d, 0x13],
  authorityKeyIdentifier: [0x55, 0x1d, 0x23],
  extendedKeyUsage: [0x55, 0x1d, 0x25],
  serverAuth: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
} as const;

const TRUE = der(TAG.boolean, [0xff]);

/** What is in a certificate. */
export interface CertificateFields {
  /** The common name of whom it is for, and of whom it is from. */
  readonly subject: string;
  readonly issuer: string;
  /** Milliseconds since 1970; certificates have whole seconds. */
  readonly validFrom: number;
  readonly validTo: number;
  /** DER of its extensions: {@link serverNames} and others. */
  readonly extensions: readonly Uint8Array[];
  readonly publicKey: KeyObject;
}

/** Signs an X.509 certificate of version 3 (RFC 5280) with an ECDSA key of P-256; gives it in PEM. */
export function signCertificate(fields: CertificateFields, issuerKey: KeyObject): string {
  const algorithm = der(TAG.sequence, der(TAG.oid, OID.ecdsaWithSha256));
  const toBeSigned = der(
    TAG.sequence,
    der(TAG.version, der(TAG.integer, [2])),
    der(TAG.integer, [1, ...crypto.getRandomValues(new Uint8Array(15))]),
    algorithm,
    named(fields.issuer),
    der(TAG.sequence, derTime(fields.validFrom), derTime(fields.validTo)),
    named(fields.subject),
    fields.publicKey.export({ type: "spki", format: "der" }),
    der(TAG.extensions, der(TAG.sequence, ...fields.extensions)),
  );
  const signature = der(TAG.bitString, [0], sign("sha256", toBeSigned, issuerKey));
  return certificatePem(der(TAG.sequence, toBeSigned, algorithm, signature));
}

/** The extension that says for which servers the certificate is. */
export function serverNames(names: readonly string[]): Uint8Array {
  const all = der(TAG.sequence, ...names.map((each) => der(TAG.dnsName, derText(each))));
  return extension(OID.subjectAltName, all);
}

/** The extensions of an authority that signs certificates of servers, and none of other authorities. */
export function authorityUse(authority: KeyObject): Uint8Array[] {
  const signsServersOnly = der(TAG.sequence, TRUE, der(TAG.integer, [0]));
  const keyCertSign = der(TAG.bitString, [2, 0x04]);
  return [
    critical(OID.basicConstraints, signsServersOnly),
    critical(OID.keyUsage, keyCertSign),
    extension(OID.subjectKeyIdentifier, der(TAG.octetString, keyIdentifier(authority))),
  ];
}

/** The extensions of a server's certificate that this authority signs, besides the server's names. */
export function serverUse(authority: KeyObject): Uint8Array[] {
  const digitalSignature = der(TAG.bitString, [7, 0x80]);
  const serverAuth = der(TAG.sequence, der(TAG.oid, OID.serverAuth));
  return [
    critical(OID.keyUsage, digitalSignature),
    extension(OID.extendedKeyUsage, serverAuth),
    extension(
      OID.authorityKeyIdentifier,
      der(TAG.sequence, der(TAG.keyIdentifier, keyIdentifier(authority))),
    ),
  ];
}

/** Tells keys apart (RFC 5280, 4.2.1.2). */
function keyIdentifier(key: KeyObject): Uint8Array {
  return createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest()
    .subarray(0, 20);
}

function extension(oid: readonly number[], value: Uint8Array): Uint8Array {
  return der(TAG.sequence, der(TAG.oid, oid), der(TAG.octetString, value));
}

function critical(oid: readonly number[], value: Uint8Array): Uint8Array {
  return der(TAG.sequence, der(TAG.oid, oid), TRUE, der(TAG.octetString, value));
}

function named(commonName: string): Uint8Array {
  const attribute = der(
    TAG.sequence,
    der(TAG.oid, OID.commonName),
    der(TAG.utf8String, derText(commonName)),
  );
  return der(TAG.sequence, der(TAG.set, attribute));
}

/** DER of a certificate in PEM. */
export function certificatePem(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g)!;
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
