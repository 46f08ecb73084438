import assert from "node:assert/strict";
import type { OfferedDevice } from "../agent/model.ts";
import { nodeDevices, type ServedFeatures, sliceDevices } from "./slice_devices.ts";

const all = { sharing: true, taints: true };

function aDevice(name: string, more: Partial<OfferedDevice> = {}): OfferedDevice {
  return { name, attributes: {}, down: false, allocated: [], ...more };
}

function shape(devices: OfferedDevice[], served: ServedFeatures, attachments = 256) {
  return sliceDevices(devices, { driver: "d", attachments, copies: 2, served });
}

/** `<name>` with `+` when it is shared and `!` when it is tainted. */
function shown(devices: OfferedDevice[], served: ServedFeatures): string[] {
  return shape(devices, served).flat().map(({ name, allowMultipleAllocations, taints }) =>
    `${name}${allowMultipleAllocations ? "+" : ""}${taints ? "!" : ""}`
  );
}

Deno.test("sliceDevices() gives each device the form that the API server keeps", async (t) => {
  const down = { down: true };
  const cases: Record<string, [OfferedDevice, ServedFeatures, string[]]> = {
    "shared": [aDevice("a"), all, ["a+"]],
    "down": [aDevice("a", down), all, ["a+!"]],
    "not shareable": [aDevice("a"), { ...all, sharing: false }, ["a-0", "a-1"]],
    "down, not shareable": [aDevice("a", down), { ...all, sharing: false }, ["a-0!", "a-1!"]],
    "down without taints": [aDevice("a", down), { ...all, taints: false }, []],
    "down without taints, allocated": [
      aDevice("a", { ...down, allocated: ["a"] }),
      { ...all, taints: false },
      ["a+"],
    ],
    "down without either, one copy allocated": [
      aDevice("a", { ...down, allocated: ["a-1"] }),
      { sharing: false, taints: false },
      ["a-1"],
    ],
    "a copy that is allocated from before the update": [
      aDevice("a", { allocated: ["a-1"] }),
      all,
      ["a+", "a-1"],
    ],
  };
  for (const [name, [device, served, gives]] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(shown([device], served), gives));
  }
});

Deno.test("sliceDevices() names the capacity and the taint", () => {
  const [[device]] = shape([aDevice("a", { down: true })], all, 2000) as [[unknown]];
  assert.deepEqual(device, {
    name: "a",
    attributes: {},
    allowMultipleAllocations: true,
    capacity: {
      attachments: {
        value: "2k",
        requestPolicy: { default: "1", validRange: { min: "1", step: "1" } },
      },
    },
    taints: [{ key: "d/link-down", effect: "NoSchedule" }],
  });
});

Deno.test("sliceDevices() keeps slices to 128 devices, and to 64 with taints", async (t) => {
  const many = (n: number, down: boolean) =>
    Array.from({ length: n }, (_, i) => aDevice(`d${i}`, { down }));
  const cases: [OfferedDevice[], number[]][] = [
    [[], [0]],
    [many(128, false), [128]],
    [many(129, false), [128, 1]],
    [many(64, true), [64]],
    [[...many(129, false), aDevice("x", { down: true })], [64, 64, 2]],
  ];
  for (const [devices, sizes] of cases) {
    await t.step(`${devices.length} devices`, () => {
      assert.deepEqual(shape(devices, all).map((slice) => slice.length), sizes);
    });
  }
});

Deno.test("nodeDevices() takes copies for the one device that they are of", () => {
  const attributes = { interface: { string: "eth0" } };
  const taints = [{ key: "d/link-down", effect: "NoSchedule" }];
  assert.deepEqual(
    nodeDevices([{ name: "eth0-0", attributes }, { name: "eth0-1", attributes }, {
      name: "cni",
      taints,
    }]),
    [{ name: "eth0", attributes, down: false }, { name: "cni", attributes: {}, down: true }],
  );
});
