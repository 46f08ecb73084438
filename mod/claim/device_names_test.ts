import assert from "node:assert/strict";
import fc from "fast-check";
import { copyName, deviceName, originalDevice } from "./device_names.ts";

Deno.test("deviceName() spells an interface's name as a DNS label", async (t) => {
  const cases: Record<string, string> = {
    "eth0": "eth0",
    "br-lan": "br-lan",
    "eth0.100": "eth0--2e100",
    "my_if": "my--5fif",
    "Eth0": "x--0045746830",
    "ethA": "eth--41",
    "a--b": "a--2d--2db",
    "eth-": "eth--2d",
    "eth-0": "eth--2d0",
    "cni": "x--00636e69",
    "cni-0": "cni--2d0",
    "cni0": "cni0",
    "été": "x--00c3a974c3a9",
    "a!!!!!!!!!!!!!!": "x--00612121212121212121212121212121",
  };
  for (const [name, device] of Object.entries(cases)) {
    await t.step(name, () => assert.equal(deviceName(name), device));
  }
});

Deno.test("no two interfaces share a device, and copies lead back to it", () => {
  const name = fc.string({ unit: fc.constantFrom(..."aA0-._n2d!"), minLength: 1, maxLength: 15 });
  fc.assert(fc.property(name, name, fc.nat(999), (a, b, number) => {
    const device = deviceName(a);
    assert.match(device, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    const copy = copyName(device, number);
    assert.ok(copy.length <= 63);
    assert.equal(originalDevice(copy), device);
    assert.equal(originalDevice(device), device);
    assert.notEqual(originalDevice(device), "cni");
    if (a !== b) assert.notEqual(device, deviceName(b));
  }));
});
