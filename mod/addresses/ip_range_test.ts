import assert from "node:assert/strict";
import fc from "fast-check";
import { parseIp } from "../claim/ip_notation.ts";
import { canonicalAddress, ipNumber, type IpRange, without } from "./ip_range.ts";

Deno.test("without() leaves out each number that is in one of the others", () => {
  const range = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 9 }))
    .map(([first, more]) => ({ first: BigInt(first), last: BigInt(first + more) }));
  const numbers = (ranges: readonly IpRange[]) =>
    new Set(
      ranges.flatMap(({ first, last }) =>
        Array.from({ length: Number(last - first) + 1 }, (_, i) => Number(first) + i)
      ),
    );
  fc.assert(fc.property(fc.array(range), fc.array(range), (ranges, others) => {
    const left = without(ranges, others);
    const wanted = numbers(ranges).difference(numbers(others));
    assert.deepEqual([...numbers(left)], [...wanted].toSorted((a, b) => a - b));
    for (const [i, { first }] of left.entries()) {
      assert.ok(i === 0 || left[i - 1]!.last + 1n < first, "ranges that touch are one");
    }
  }));
});

Deno.test("ipNumber() takes what parseIp() takes, as the same number", () => {
  const part = fc.stringMatching(/^(0|[0-9a-f]{1,4}|255|256|01)$/);
  const made = fc.array(part, { minLength: 1, maxLength: 9 }).chain((parts) =>
    fc.constantFrom(".", ":", "::").chain((last) =>
      fc.constantFrom(":", ".").map((by) => `${parts.slice(0, -1).join(by)}${last}${parts.at(-1)}`)
    )
  );
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), made, fc.string()), (text) => {
      const bytes = parseIp(text)?.toByteArray();
      const number = bytes?.reduce((value, byte) => value << 8n | BigInt(byte), 0n);
      assert.equal(ipNumber(text), number, text);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("an address and its number stand for each other", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
    const canonical = canonicalAddress(text)!;
    assert.equal(ipNumber(canonical), ipNumber(text));
    assert.equal(canonicalAddress(canonical), canonical);
  }));
  assert.equal(canonicalAddress("::ffff:1.2.3.4"), "::ffff:102:304");
});
