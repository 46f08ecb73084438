import { createPrivateKey, X509Certificate } from "node:crypto";

/** The tag of the field that tells the version; X.509 version 1 has none. */
const VERSION_TAG = 0xa0;

/**
 * Refuses a client certificate that Deno cannot use: it would end the whole process (Deno 2.9.3,
 * ext/tls). A rotation can be seen half done, with the key of another certificate.
 *
 * @throws Error that says what is wrong with it
 */
export function checkClientCertificate(cert: string, key: string): void {
  const certificate = new X509Certificate(cert);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw new Error("the client certificate and its key do not match");
  }
  if (firstField(certificate.raw) !== VERSION_TAG) {
    throw new Error(
      "the client certificate is of X.509 version 1; issue one of version 3, with extensions",
    );
  }
}

/** The tag of the first field in the first field of a DER sequence. */
function firstField(der: Uint8Array): number | undefined {
  const inner = contentOf(der, 0);
  return der[contentOf(der, inner)];
}

/** Where the content begins of the DER value at an offset. */
function contentOf(der: Uint8Array, offset: number): number {
  const length = der[offset + 1]!;
  return offset + 2 + (length < 0x80 ? 0 : length & 0x7f);
}
