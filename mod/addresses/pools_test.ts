import assert from "node:assert/strict";
import { addressText } from "./ip_range.ts";
import { parseAddresses } from "./parse_addresses.ts";
import { assertMayHave, familiesOf, mayGive, usable } from "./pools.ts";

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
