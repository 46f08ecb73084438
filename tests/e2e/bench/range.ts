/** The range of which both sides give addresses. */
export const RANGE = "10.40.0.0/20";
/** Its addresses, without the first and the last. */
export const SIZE = 4_094;

const [FIRST, SECOND] = [10, 40];

/** The address at a place of the range, from 1. */
export function addressAt(offset: number): string {
  return `${FIRST}.${SECOND}.${offset >> 8}.${offset & 255}`;
}

/** Its place in the range. */
export function offsetOf(address: string): number {
  const [, , third, fourth] = address.split(".").map(Number);
  return (third! << 8) + fourth!;
}
