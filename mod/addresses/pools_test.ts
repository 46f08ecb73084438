import assert from "node:assert/strict";
import fc from "fast-check";
import { FieldError } from "../claim/field.ts";
import { parseIp } from "../claim/ip_notation.ts";
import { addressText, ipNumber, type IpRange, without } from "./ip_range.ts";
import {
  assertMayHave,
  canonicalAddress,
  countAddresses,
  familiesOf,
  keepForMs,
  mayGive,
  parseAddresses,
  poolOf,
  usable,
} from "./pools.ts";

const read = (value: unknown) => parseAddresses(value, "spec.addresses");
const ofPool = (pool: Record<string, unknown>) => read({ pools: [pool] });
const texts = (pool: Record<string, unknown>) => {
  const addresses = ofPool(pool);
  const [family] = familiesOf(addresses);
  return usable(addresses.pools[0]!).map(({ first, last }) =>
    [first, last].map((each) => addressText(each, family!)).join("-")
  );
};

for (
  const [pool, gives] of [
    [{ subnet: "10.38.0.0/24" }, ["10.38.0.1-10.38.0.254"]],
    [{ subnet: "10.38.0.0/24", gateway: "10.38.0.1" }, ["10.38.0.2-10.38.0.254"]],
    [{ subnet: "10.38.0.0/30" }, ["10.38.0.1-10.38.0.2"]],
    [{ subnet: "10.38.0.0/31" }, ["10.38.0.0-10.38.0.1"]],
    [{ subnet: "10.38.0.7/32" }, ["10.38.0.7-10.38.0.7"]],
    [{ subnet: "fd00::/64" }, ["fd00::1-fd00::ffff:ffff:ffff:ffff"]],
    [{ subnet: "fd00::/127" }, ["fd00::-fd00::1"]],
    [{ subnet: "fd00::5/128" }, ["fd00::5-fd00::5"]],
    [
      { subnet: "10.38.0.0/24", ranges: ["10.38.0.0-10.38.0.9", "10.38.0.250 - 10.38.0.255"] },
      ["10.38.0.1-10.38.0.9", "10.38.0.250-10.38.0.254"],
    ],
    [
      {
        subnet: "10.38.0.0/24",
        ranges: ["10.38.0.16/28"],
        exclude: ["10.38.0.20", "10.38.0.24/30"],
      },
      ["10.38.0.16-10.38.0.19", "10.38.0.21-10.38.0.23", "10.38.0.28-10.38.0.31"],
    ],
    [
      { subnet: "10.38.0.0/24", ranges: ["10.38.0.5-10.38.0.9", "10.38.0.8-10.38.0.12"] },
      ["10.38.0.5-10.38.0.12"],
    ],
  ] as const
) {
  Deno.test(`the usable addresses of ${JSON.stringify(pool)}`, () => {
    assert.deepEqual(texts(pool), gives);
  });
}

for (
  const [value, says] of [
    [{}, /^spec\.addresses\.pools: must be a list, not missing$/],
    [{ pools: [] }, /^spec\.addresses\.pools: must have at least one pool$/],
    [{ pool: [] }, /^spec\.addresses\.pool: is unknown.*did you mean "pools"/],
    [{ pools: [{}] }, /pools\[0\]\.subnet: must be a string/],
    [
      { pools: [{ subnet: "10.38.0.0/33" }] },
      /pools\[0\]\.subnet: "10\.38\.0\.0\/33" is not a CIDR/,
    ],
    [{ pools: [{ subnet: "10.38.0/24" }] }, /is not a CIDR/],
    [{ pools: [{ subnet: "10.38.0.0/024" }] }, /is not a CIDR/],
    [{ pools: [{ subnet: "fe80::%eth0/64" }] }, /is not a CIDR/],
    [
      { pools: [{ subnet: "::ffff:10.38.0.0/120" }] },
      /subnet: "::ffff:10\.38\.0\.0\/120" is an IPv4-mapped address: write it as IPv4$/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24", gateway: "::ffff:10.38.0.1" }] },
      /gateway: "::ffff:10\.38\.0\.1" is an IPv4-mapped address/,
    ],
    [{ pools: [{ subnet: "10.38.0.5/24" }] }, /has host bits set: write 10\.38\.0\.0\/24$/],
    [{ pools: [{ subnet: "fd00::1/64" }] }, /has host bits set: write fd00::\/64$/],
    [
      { pools: [{ subnet: "10.38.0.0/16" }, { subnet: "10.38.4.0/24" }] },
      /pools\[1\]\.subnet: 10\.38\.4\.0\/24 overlaps with 10\.38\.0\.0\/16/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24", gateway: "10.39.0.1" }] },
      /pools\[0\]\.gateway: 10\.39\.0\.1 is not inside 10\.38\.0\.0\/24$/,
    ],
    [{ pools: [{ subnet: "10.38.0.0/24", gateway: "fd00::1" }] }, /fd00::1 is not inside/],
    [
      { pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.9-10.38.0.5"] }] },
      /pools\[0\]\.ranges\[0\]: "10\.38\.0\.9-10\.38\.0\.5" ends before it begins$/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.9-10.38.1.5"] }] },
      /ranges\[0\]: .* is not inside 10\.38\.0\.0\/24$/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24", ranges: ["a"] }] },
      /"a" is not an address, FIRST-LAST or/,
    ],
    [{ pools: [{ subnet: "10.38.0.0/24", ranges: [] }] }, /ranges: must have at least one range$/],
    [
      { pools: [{ subnet: "10.38.0.0/24", exclude: ["fd00::1"] }] },
      /exclude\[0\]: "fd00::1" is not inside/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/30", exclude: ["10.38.0.0/30"] }] },
      /pools\[0\]: leaves no address of 10\.38\.0\.0\/30 to give out$/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24" }], routes: [{ dst: "::/0", gw: "10.38.0.1" }] },
      /routes\[0\]\.gw: 10\.38\.0\.1 is not of the family/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24" }], dns: { nameservers: ["x"] } },
      /nameservers\[0\]: "x" is/,
    ],
    [
      { pools: [{ subnet: "10.38.0.0/24" }], reserved: [{ address: "10.38.0.5" }] },
      /reserved\[0\]\.namespace: must be a string/,
    ],
    [
      {
        pools: [{ subnet: "10.38.0.0/24" }],
        reserved: [{ address: "10.38.0.0", namespace: "shop" }],
      },
      /reserved\[0\]\.address: 10\.38\.0\.0 is the network or broadcast address/,
    ],
    [
      {
        pools: [{ subnet: "10.38.0.0/24" }],
        reserved: [
          { address: "10.38.0.5", namespace: "shop" },
          { address: "10.38.0.5", namespace: "other" },
        ],
      },
      /reserved\[1\]\.address: 10\.38\.0\.5 is reserved twice$/,
    ],
    [{ pools: [{ subnet: "10.38.0.0/24" }], keepFor: "ten" }, /keepFor: "ten" must be a duration/],
    [{ pools: [{ subnet: "10.38.0.0/24" }], keepFor: "0s" }, /keepFor: "0s" must be a duration/],
    [
      { pools: Array.from({ length: 65 }, (_, i) => ({ subnet: `10.${i}.0.0/24` })) },
      /pools: has 65 entries; at most 64 are allowed$/,
    ],
  ] as const
) {
  Deno.test(`parseAddresses() refuses ${JSON.stringify(value).slice(0, 100)}`, () => {
    assert.throws(() => read(value), (error) => {
      assert.ok(error instanceof FieldError, String(error));
      assert.match(error.message, says);
      return true;
    });
  });
}

Deno.test("parseAddresses() writes what it reads, in canonical notation", () => {
  const given = {
    pools: [
      { subnet: "FD00:38:0::/64", ranges: ["fd00:38::A-fd00:38::ff"], gateway: "fd00:38:0:0::1" },
      { subnet: "10.38.0.0/24", exclude: ["10.38.0.8/29"] },
    ],
    routes: [{ dst: "0.0.0.0/0", gw: "10.38.0.1" }, { dst: "10.0.0.1/8" }],
    dns: { nameservers: ["10.38.0.1"], domain: "lan", search: ["lan"], options: ["ndots:2"] },
    reserved: [{ address: "fd00:38::0a", namespace: "shop", claim: "db" }],
    keepFor: "10m",
  };
  const parsed = read(given);
  assert.deepEqual(parsed, {
    ...given,
    pools: [
      { subnet: "fd00:38::/64", ranges: ["fd00:38::a-fd00:38::ff"], gateway: "fd00:38::1" },
      { subnet: "10.38.0.0/24", exclude: ["10.38.0.8-10.38.0.15"] },
    ],
    routes: [{ dst: "0.0.0.0/0", gw: "10.38.0.1" }, { dst: "10.0.0.0/8" }],
    reserved: [{ address: "fd00:38::a", namespace: "shop", claim: "db" }],
  });
  assert.deepEqual(read(JSON.parse(JSON.stringify(parsed))), parsed);
  assert.deepEqual(familiesOf(parsed), [6, 4]);
  assert.equal(keepForMs(parsed), 600_000);
  assert.equal(poolOf(parsed, "10.38.0.77")?.subnet, "10.38.0.0/24");
  assert.equal(poolOf(parsed, "10.39.0.77"), undefined);
  assert.equal(countAddresses(parsed, 6), 246n);
  assert.equal(countAddresses(parsed, 4), 246n);
});

Deno.test("a claim may have the address that it names", async (t) => {
  const addresses = read({
    pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.100-10.38.0.200"], gateway: "10.38.0.1" }],
    reserved: [
      { address: "10.38.0.20", namespace: "shop" },
      { address: "10.38.0.21", namespace: "shop", claim: "db" },
    ],
  });
  const asker = { namespace: "shop", claim: "web" };
  for (const address of ["10.38.0.100", "10.38.0.9", "10.38.0.20"]) {
    await t.step(address, () => assertMayHave(addresses, address, asker));
  }
  for (
    const [address, message] of [
      ["10.39.0.1", "10.39.0.1 is in no subnet of the network (10.38.0.0/24)"],
      ["10.38.0.1", "10.38.0.1 is the network's gateway"],
      ["10.38.0.255", "10.38.0.255 is the network or broadcast address of 10.38.0.0/24"],
      ["10.38.0.21", "10.38.0.21 is reserved for claim shop/db"],
    ] as const
  ) {
    await t.step(`not ${address}`, () => {
      assert.throws(() => assertMayHave(addresses, address, asker), { message });
    });
  }
  await t.step("not that of another namespace", () => {
    const other = { namespace: "other", claim: "web" };
    assert.throws(() => assertMayHave(addresses, "10.38.0.20", other), {
      message: "10.38.0.20 is reserved for claims in namespace shop",
    });
  });
});

Deno.test("a claim may not have an address that is excluded, unless it is reserved for the claim", () => {
  const addresses = read({
    pools: [{ subnet: "10.38.0.0/24", exclude: ["10.38.0.50", "10.38.0.64/28"] }],
    reserved: [{ address: "10.38.0.65", namespace: "shop", claim: "web" }],
  });
  const asker = { namespace: "shop", claim: "web" };
  for (const address of ["10.38.0.50", "10.38.0.70"]) {
    assert.throws(() => assertMayHave(addresses, address, asker), {
      message: `${address} is excluded by the Network: name another address, or have an ` +
        "administrator reserve it for the claim",
    });
    assert.equal(mayGive(addresses, address, asker), false);
  }
  assertMayHave(addresses, "10.38.0.65", asker);
  assert.ok(mayGive(addresses, "10.38.0.65", asker));
  assert.ok(!mayGive(addresses, "10.38.0.65", { namespace: "shop", claim: "other" }));
});

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

Deno.test("parseAddresses() takes the largest pools, whose addresses nobody can go through", () => {
  const host = (i: number) => `fd00::${i.toString(16)}`;
  const addresses = read({
    pools: [{
      subnet: "fd00::/8",
      exclude: Array.from({ length: 256 }, (_, i) => `${host(4 * i)}-${host(4 * i + 1)}`),
    }, { subnet: "0.0.0.0/0" }],
    reserved: Array.from({ length: 1024 }, (_, i) => ({
      address: host(2 * i + 2),
      namespace: "shop",
    })),
  });
  // 512 numbers are excluded, of which the first is the anycast address.
  assert.equal(countAddresses(addresses, 6), 2n ** 120n - 512n);
  assert.equal(countAddresses(addresses, 4), 2n ** 32n - 2n);
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
