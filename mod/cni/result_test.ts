import assert from "node:assert/strict";
import fc from "fast-check";
import type { CniResult } from "../agent/model.ts";
import { atLeast, convertResult, parseResult, toCurrent } from "./result.ts";

const current: CniResult = {
  cniVersion: "1.0.0",
  interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", sandbox: "/run/netns/x" }],
  ips: [
    { address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 0 },
    { address: "fd00::2/64", interface: 0 },
  ],
  routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }, { dst: "::/0" }],
  dns: { nameservers: ["10.0.0.1"] },
};

Deno.test("convertResult() follows libcni's rules", async (t) => {
  const cases: Record<string, { from: CniResult; to: string; gives: unknown }> = {
    "1.0.0 to 0.4.0 adds the addresses' versions": {
      from: current,
      to: "0.4.0",
      gives: {
        ...current,
        cniVersion: "0.4.0",
        ips: [
          { version: "4", address: "10.0.0.2/24", gateway: "10.0.0.1", interface: 0 },
          { version: "6", address: "fd00::2/64", interface: 0 },
        ],
      },
    },
    "1.1.0 to 0.4.0 drops what came with 1.1.0": {
      from: {
        cniVersion: "1.1.0",
        interfaces: [{ name: "net1", mtu: 1500, socketPath: "/x", pciID: "0000:00:00.0" }],
      },
      to: "0.4.0",
      gives: { cniVersion: "0.4.0", interfaces: [{ name: "net1" }] },
    },
    "0.3.1 to 1.1.0 drops the addresses' versions": {
      from: { cniVersion: "0.3.1", ips: [{ version: "4", address: "10.0.0.2/24" }] },
      to: "1.1.0",
      gives: { cniVersion: "1.1.0", ips: [{ address: "10.0.0.2/24" }] },
    },
    "1.0.0 to 1.1.0 changes the label": {
      from: current,
      to: "1.1.0",
      gives: { ...current, cniVersion: "1.1.0" },
    },
    "0.2.0 to 1.0.0 makes a list of addresses and routes": {
      from: {
        cniVersion: "0.2.0",
        ip4: { ip: "10.0.0.2/24", gateway: "10.0.0.1", routes: [{ dst: "0.0.0.0/0" }] },
        ip6: { ip: "fd00::2/64", routes: [{ dst: "::/0", gw: "fd00::1" }] },
      },
      to: "1.0.0",
      gives: {
        cniVersion: "1.0.0",
        ips: [{ address: "10.0.0.2/24", gateway: "10.0.0.1" }, { address: "fd00::2/64" }],
        routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }, { dst: "::/0", gw: "fd00::1" }],
      },
    },
    "1.0.0 to 0.2.0 keeps the first address of each family": {
      from: { ...current, ips: [...current.ips as [], { address: "10.0.0.3/24" }] },
      to: "0.2.0",
      gives: {
        cniVersion: "0.2.0",
        ip4: {
          ip: "10.0.0.2/24",
          gateway: "10.0.0.1",
          routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }],
        },
        ip6: { ip: "fd00::2/64", routes: [{ dst: "::/0" }] },
        dns: { nameservers: ["10.0.0.1"] },
      },
    },
  };
  for (const [name, { from, to, gives }] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(convertResult(from, to), gives));
  }
});

Deno.test("convertResult() refuses what cannot be converted", () => {
  assert.throws(() => convertResult({ cniVersion: "1.0.0" }, "0.1.0"), /without an address/);
  assert.throws(() => convertResult(current, "2.0.0"), /unknown CNI version "2.0.0"/);
});

Deno.test("convertResult() there and back again changes nothing", () => {
  const v4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(32)).map(([a, b, n]) =>
    `10.0.${a}.${b}/${n}`
  );
  const v6 = fc.tuple(fc.nat(65535), fc.nat(128)).map(([a, n]) => `fd00::${a.toString(16)}/${n}`);
  // Objects as JSON makes them.
  const noNullPrototype = true;
  const address = fc.record(
    { address: fc.oneof(v4, v6), interface: fc.nat(3), gateway: fc.constant("10.0.0.1") },
    { requiredKeys: ["address"], noNullPrototype },
  );
  const link = fc.record({ name: fc.constant("a"), sandbox: fc.constant("/x") }, {
    noNullPrototype,
  });
  const result = fc.record({
    cniVersion: fc.constant("1.0.0"),
    ips: fc.array(address),
    interfaces: fc.array(link),
  }, { noNullPrototype });
  fc.assert(
    fc.property(result, fc.constantFrom("0.3.0", "0.3.1", "0.4.0", "1.1.0"), (given, via) => {
      assert.deepEqual(convertResult(convertResult(given, via), "1.0.0"), given);
    }),
  );
});

Deno.test("parseResult() takes the configuration's version where the plugin names none", () => {
  assert.deepEqual(parseResult({ ips: [] }, "0.4.0"), { ips: [], cniVersion: "0.4.0" });
  assert.deepEqual(parseResult({ cniVersion: "" }, "0.4.0"), { cniVersion: "0.4.0" });
  assert.deepEqual(parseResult({ cniVersion: "0.3.1" }, "1.0.0"), { cniVersion: "0.3.1" });
});

Deno.test("parseResult() refuses what is not a result", () => {
  for (const given of [null, 1, "x", [], undefined]) {
    assert.throws(() => parseResult(given, "1.0.0"), /is not an object/);
  }
  assert.throws(
    () => parseResult({ cniVersion: "7" }, "1.0.0"),
    /cniVersion "7"; known versions are/,
  );
  assert.throws(() => parseResult({ ips: {} }, "1.0.0"), /ips is not a list/);
  assert.throws(() => parseResult({ ips: [1] }, "1.0.0"), /ips\[0\] is not an object/);
});

Deno.test("toCurrent() leaves results of 1.x alone", () => {
  assert.equal(toCurrent(current), current);
  assert.equal(toCurrent({ cniVersion: "0.4.0" }).cniVersion, "1.0.0");
});

Deno.test("atLeast() compares versions by age", () => {
  assert.equal(atLeast("0.3.1", "0.4.0"), false);
  assert.equal(atLeast("0.4.0", "0.4.0"), true);
  assert.equal(atLeast("1.1.0", "0.4.0"), true);
});

Deno.test("parseResult() refuses routes of old versions that are not objects", () => {
  const result = {
    cniVersion: "0.2.0",
    ip4: { ip: "10.0.0.2/24", routes: [{ dst: "0.0.0.0/0" }, null] },
  };
  assert.throws(
    () => parseResult(result, "0.2.0"),
    /the result's ip4\.routes\[1\] is not an object/,
  );
});
