import assert from "node:assert/strict";
import { overlap, parseAddress, parseNetwork, within } from "./addresses.ts";

Deno.test("parseAddress() reads the usual notation and nothing else", () => {
  assert.deepEqual(parseAddress("10.0.0.1"), { family: 4, first: 0x0a000001n, last: 0x0a000001n });
  assert.deepEqual(parseAddress("::2"), { family: 6, first: 2n, last: 2n });
  assert.deepEqual(parseAddress("::ffff:10.0.0.1"), parseAddress("10.0.0.1"));
  assert.deepEqual(parseAddress("::10.0.0.1"), {
    family: 6,
    first: 0x0a000001n,
    last: 0x0a000001n,
  });
  for (const text of ["", "10.1", "010.0.0.1", "0x0a.0.0.1", "10.0.0.256", "fe80::1%eth0", "::g"]) {
    assert.equal(parseAddress(text), undefined, text);
  }
});

Deno.test("parseNetwork() gives all addresses of a prefix", () => {
  assert.deepEqual(parseNetwork("10.1.2.3/16"), {
    family: 4,
    first: 0x0a010000n,
    last: 0x0a01ffffn,
  });
  assert.deepEqual(parseNetwork("fd00::1/126"), {
    family: 6,
    first: 0xfdn << 120n,
    last: (0xfdn << 120n) + 3n,
  });
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "::ffff:10.0.0.0/104"]) {
    assert.equal(parseNetwork(text), undefined, text);
  }
});

Deno.test("overlap() and within() compare networks of one family", () => {
  const net = (text: string) => parseNetwork(text)!;
  assert.ok(overlap(net("10.0.0.0/8"), net("10.9.0.0/16")));
  assert.ok(!overlap(net("10.0.0.0/8"), net("11.0.0.0/8")));
  assert.ok(!overlap(net("0.0.0.0/0"), net("::/0")));
  assert.ok(within(net("10.9.0.0/16"), [net("192.168.0.0/16"), net("10.0.0.0/8")]));
  assert.ok(!within(net("10.0.0.0/7"), [net("10.0.0.0/8")]));
});
