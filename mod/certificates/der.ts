import { Buffer } from "node:buffer";

/** Tags of ASN.1 values (X.690), as far as certificates need them. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** In AuthorityKeyIdentifier. */
  keyIdentifier: 0x80,
  /** In SubjectAltName. */
  dnsName: 0x82,
  version: 0xa0,
  extensions: 0xa3,
} as const;

/** The first year that UTCTime cannot tell from another (RFC 5280, 4.1.2.5). */
const GENERALIZED_FROM = 2050;

/**
 * A value with its tag and length (X.690, definite form), of at most 65,535 bytes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { der, TAG } from "./der.ts";
 *
 * assert.deepEqual([...der(TAG.sequence, der(TAG.integer, [2]))], [0x30, 3, 2, 1, 2]);
 * ```
 */
export function der(
  tag: number,
  ...contents: readonly (Uint8Array | readonly number[])[]
): Uint8Array {
  const content = Buffer.concat(contents.map((each) => Uint8Array.from(each)));
  const { length } = content;
  if (length < 0x80) return Uint8Array.from([tag, length, ...content]);
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Uint8Array.from([tag, 0x80 | bytes.length, ...bytes, ...content]);
}

/** A moment, in milliseconds since 1970, as certificates have it: to the second. */
export function derTime(time: number): Uint8Array {
  const digits = new Date(time).toISOString().replaceAll(/\D/g, "").slice(0, 14);
  return Number(digits.slice(0, 4)) < GENERALIZED_FROM
    ? der(TAG.utcTime, derText(`${digits.slice(2)}Z`))
    : der(TAG.generalizedTime, derText(`${digits}Z`));
}

/** The bytes of text, without a tag. */
export function derText(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
