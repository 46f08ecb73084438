import assert from "node:assert/strict";
import { FieldError } from "../claim/field.ts";
import { parseAddresses } from "./parse_addresses.ts";
import { countAddresses, familiesOf, keepForMs, poolOf } from "./pools.ts";

const read = (value: unknown) => parseAddresses(value, "spec.addresses");

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
      { pools: [{ subnet: "127.3.0.0/16" }] },
      /pools\[0\]\.subnet: 127\.3\.0\.0\/16 overlaps with 127\.0\.0\.0\/8, which is for loopback: name a/,
    ],
    [{ pools: [{ subnet: "0.0.0.0/0" }] }, /overlaps with 0\.0\.0\.0\/8, which is for this host/],
    [{ pools: [{ subnet: "239.1.0.0/16" }] }, /overlaps with 224\.0\.0\.0\/4, which is for multi/],
    [{ pools: [{ subnet: "255.255.255.254/31" }] }, /which is for broadcast/],
    [{ pools: [{ subnet: "::1/128" }] }, /overlaps with ::\/127, which is for loopback/],
    [{ pools: [{ subnet: "ff02::/64" }] }, /overlaps with ff00::\/8, which is for multicast/],
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

Deno.test("parseAddresses() takes the largest pools, whose addresses nobody can go through", () => {
  const host = (i: number) => `fd00::${i.toString(16)}`;
  const addresses = read({
    pools: [{
      subnet: "fd00::/8",
      exclude: Array.from({ length: 256 }, (_, i) => `${host(4 * i)}-${host(4 * i + 1)}`),
    }, { subnet: "128.0.0.0/2" }],
    reserved: Array.from({ length: 1024 }, (_, i) => ({
      address: host(2 * i + 2),
      namespace: "shop",
    })),
  });
  // 512 numbers are excluded, of which the first is the anycast address.
  assert.equal(countAddresses(addresses, 6), 2n ** 120n - 512n);
  assert.equal(countAddresses(addresses, 4), 2n ** 30n - 2n);
});
