import assert from "node:assert/strict";
import fc from "fast-check";
import { freeAddresses, Taken } from "./free_address.ts";
import { parseAddresses } from "./parse_addresses.ts";
import { countAddresses } from "./pools.ts";

const asker = { namespace: "shop", claim: "web" };
const read = (value: unknown) => parseAddresses(value, "spec.addresses");

function all(value: unknown, { family = 4, node = "node-1", taken = new Taken() }: {
  readonly family?: 4 | 6;
  readonly node?: string;
  readonly taken?: Taken;
} = {}): string[] {
  return [...freeAddresses(read(value), family, taken, { node, asker })];
}

Deno.test("each free address comes once, whatever the node, the ranges and what is taken", () => {
  const part = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 60 }));
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 200 }),
      fc.string(),
      (parts, takenHosts, node) => {
        const ranges = parts.map(([first, size]) =>
          `10.38.0.${first}-10.38.0.${Math.min(first + size, 255)}`
        );
        const value = { pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.77", ...ranges] }] };
        const taken = new Taken();
        for (const host of takenHosts) taken.add(`10.38.0.${host}`);
        const wanted = new Set(["10.38.0.77"]);
        for (const [first, size] of parts) {
          for (let host = Math.max(first, 1); host <= Math.min(first + size, 254); host++) {
            wanted.add(`10.38.0.${host}`);
          }
        }
        assert.equal(countAddresses(read(value), 4), BigInt(wanted.size));
        for (const host of takenHosts) wanted.delete(`10.38.0.${host}`);
        const given = all(value, { node, taken });
        assert.deepEqual(given.toSorted(), [...wanted].toSorted());
      },
    ),
  );
});

Deno.test("nodes begin in different places", () => {
  const value = { pools: [{ subnet: "10.38.0.0/20" }] };
  const firsts = Array.from({ length: 20 }, (_, i) => all(value, { node: `node-${i}` })[0]!);
  assert.ok(new Set(firsts).size >= 18, firsts.join(" "));
});

Deno.test("an address of a block that another has taken is passed over", () => {
  const taken = new Taken();
  const value = { pools: [{ subnet: "fd00::/64" }] };
  const begin = freeAddresses(read(value), 6, taken, { node: "node-1", asker });
  const first = begin.next().value!;
  taken.add(first);
  const [second] = [
    ...freeAddresses(read(value), 6, taken, { node: "node-1", asker }).take(1),
  ];
  assert.notEqual(second, first);
  taken.delete(first);
  assert.deepEqual(
    [...freeAddresses(read(value), 6, taken, { node: "node-1", asker }).take(1)],
    [first],
  );
});

Deno.test("reserved addresses are for whom they are reserved, who gets them first", () => {
  const value = {
    pools: [{ subnet: "10.38.0.0/29" }],
    reserved: [
      { address: "10.38.0.1", namespace: "shop" },
      { address: "10.38.0.2", namespace: "shop", claim: "web" },
      { address: "10.38.0.3", namespace: "shop", claim: "db" },
      { address: "10.38.0.4", namespace: "other" },
    ],
  };
  const [first, second, ...rest] = all(value);
  assert.deepEqual([first, second], ["10.38.0.2", "10.38.0.1"]);
  assert.deepEqual(rest.toSorted(), ["10.38.0.5", "10.38.0.6"]);
});

Deno.test("the pools of a family are used one after the other", () => {
  const value = {
    pools: [{ subnet: "10.38.0.0/31" }, { subnet: "fd00::/127" }, { subnet: "10.39.0.0/31" }],
  };
  assert.deepEqual(all(value).map((each) => each.slice(0, 5)), [
    "10.38",
    "10.38",
    "10.39",
    "10.39",
  ]);
  assert.deepEqual(all(value, { family: 6 }).toSorted(), ["fd00::", "fd00::1"]);
});

Deno.test("the last free address of a million is found by looking at blocks, not at addresses", () => {
  const taken = new Taken();
  let looked = 0;
  const counting = {
    has: (address: string) => {
      looked++;
      return taken.has(address);
    },
    bits: (block: bigint, family: 4 | 6) => taken.bits(block, family),
  };
  for (let host = 0; host < 2 ** 20; host++) {
    taken.add(`10.${host >> 16}.${host >> 8 & 255}.${host & 255}`);
  }
  taken.delete("10.9.8.7");
  const pools = read({ pools: [{ subnet: "10.0.0.0/12" }] });
  const found = [...freeAddresses(pools, 4, counting, { node: "node-1", asker })];
  assert.deepEqual(found, ["10.9.8.7"]);
  // Its own block alone is looked into.
  assert.ok(looked <= 16, `${looked}`);
});

Deno.test("Taken counts each address once", () => {
  const taken = new Taken();
  for (const address of ["10.0.0.1", "10.0.0.1", "fd00::1", "::a00:1"]) taken.add(address);
  assert.equal(taken.size, 3);
  taken.delete("10.0.0.2");
  taken.delete("10.0.0.1");
  assert.deepEqual([taken.size, taken.has("10.0.0.1"), taken.has("::a00:1")], [2, false, true]);
});
