import assert from "node:assert/strict";
import { validateDeviceStatuses } from "./status_validation.ts";

const allocation = {
  devices: {
    results: [
      { driver: "d", pool: "p", device: "a" },
      { driver: "d", pool: "p", device: "b", shareID: "s" },
    ],
  },
};
const entry = { driver: "d", pool: "p", device: "a" };
const condition = {
  type: "Ready",
  status: "True",
  reason: "NetworkInterfaceReady",
  message: "",
  lastTransitionTime: "2026-01-02T03:04:05Z",
};

Deno.test("validateDeviceStatuses() takes what the API server takes", () => {
  const devices = [{
    ...entry,
    conditions: [condition],
    data: { cniVersion: "1.0.0" },
    networkData: {
      interfaceName: "net1",
      hardwareAddress: "02:00:00:00:00:01",
      ips: ["10.0.0.5/24", "fd00::5/64", "10.0.0.6/32"],
    },
  }, { ...entry, device: "b", shareID: "s" }];
  assert.deepEqual(validateDeviceStatuses(devices, allocation), []);
});

Deno.test("validateDeviceStatuses() refuses what the API server refuses", async (t) => {
  const networkData = (more: object) => [{ ...entry, networkData: more }];
  const cases: Record<string, { given: unknown; says: RegExp }> = {
    "no list": { given: {}, says: /must be a list/ },
    "a device that is not allocated": {
      given: [{ ...entry, device: "c" }],
      says: /devices\[0\].*must be an allocated device/,
    },
    "a shareID left out": {
      given: [{ ...entry, device: "b" }],
      says: /must be an allocated device/,
    },
    "an entry twice": { given: [entry, entry], says: /devices\[1\]: Duplicate value/ },
    "nine conditions": {
      given: [{
        ...entry,
        conditions: Array.from({ length: 9 }, (_, i) => ({ ...condition, type: `T${i}` })),
      }],
      says: /conditions: Too many: 9/,
    },
    "a condition without a reason": {
      given: [{ ...entry, conditions: [{ ...condition, reason: "" }] }],
      says: /conditions\[0\]\.reason/,
    },
    "a condition without a time": {
      given: [{ ...entry, conditions: [{ ...condition, lastTransitionTime: undefined }] }],
      says: /lastTransitionTime: Required/,
    },
    "data that is a list": { given: [{ ...entry, data: [] }], says: /data: .*JSON object/ },
    "data over 10 KiB": {
      given: [{ ...entry, data: { x: "x".repeat(10 * 1024) } }],
      says: /data: Too long/,
    },
    "data over 10 KiB as Go writes it": {
      given: [{ ...entry, data: { x: "&".repeat(2 * 1024) } }],
      says: /data: Too long/,
    },
    "seventeen addresses": {
      given: networkData({ ips: Array.from({ length: 17 }, (_, i) => `10.0.0.${i}/24`) }),
      says: /ips: Too many: 17/,
    },
    "an address twice": {
      given: networkData({ ips: ["10.0.0.5/24", "10.0.0.5/24"] }),
      says: /ips\[1\]: Duplicate value/,
    },
    "an address without its prefix": {
      given: networkData({ ips: ["10.0.0.5"] }),
      says: /ips\[0\].*canonical/,
    },
    "IPv6 in capitals": { given: networkData({ ips: ["FD00::5/64"] }), says: /canonical/ },
    "IPv6 written out": { given: networkData({ ips: ["fd00:0:0::5/64"] }), says: /canonical/ },
    "IPv4 in IPv6": { given: networkData({ ips: ["::ffff:10.0.0.5/120"] }), says: /canonical/ },
    "a long name": {
      given: networkData({ interfaceName: "x".repeat(257) }),
      says: /interfaceName: Too long/,
    },
    "a long address": {
      given: networkData({ hardwareAddress: "x".repeat(129) }),
      says: /hardwareAddress: Too long/,
    },
  };
  for (const [name, { given, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.match(validateDeviceStatuses(given, allocation).join("\n"), says);
    });
  }
});
