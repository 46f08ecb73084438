import { X509Certificate } from "node:crypto";
import { certificatePem } from "./x509.ts";

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Authorities in a bundle, at most: the newest stay. */
const MOST = 8;

/** The authorities in PEM bundles, the first ones first and each once; what is none is left out. */
export function authoritiesIn(bundles: readonly string[]): string[] {
  const found = bundles.flatMap((bundle) => bundle.match(PEM) ?? []).flatMap(readable);
  return [...new Set(found)];
}

/** As one bundle. */
export function bundleOf(authorities: readonly string[]): string {
  return authorities.slice(0, MOST).join("");
}

/** In one spelling, so that the same authority is found again. */
function readable(pem: string): string[] {
  try {
    return [certificatePem(new X509Certificate(pem).raw)];
  } catch {
    return [];
  }
}
