import assert from "node:assert/strict";
import type { DeviceStatus } from "../agent/model.ts";
import { claimStatus } from "../claim/claim_status.ts";
import { applyJsonPatch } from "../simulator/json_patch.ts";
import { entriesPatch } from "./entries_patch.ts";

const driver = "dra.networking";

function entry(device: string, message = ""): DeviceStatus {
  return {
    driver,
    pool: "node",
    device,
    conditions: [{
      type: "Ready",
      status: "True",
      reason: "NetworkInterfaceReady",
      message,
      lastTransitionTime: "2026-01-01T00:00:00Z",
    }],
  };
}

const gpu = { driver: "gpu.example", pool: "node", device: "gpu-0", data: { size: 1 } };
const nic = { driver: "nic.example", pool: "node", device: "x", shareID: "s" };

Deno.test("entriesPatch() writes a driver's entries, and names no entry of another driver", async (t) => {
  const cases: Record<string, { written?: object[]; wanted: DeviceStatus[]; becomes: object[] }> = {
    "the first ones": { wanted: [entry("x"), entry("y")], becomes: [entry("x"), entry("y")] },
    "the first ones beside others": {
      written: [gpu, nic],
      wanted: [entry("x")],
      becomes: [gpu, nic, entry("x")],
    },
    "some that change": {
      written: [entry("x"), gpu, entry("y"), nic],
      wanted: [entry("y", "new"), entry("x", "new")],
      becomes: [entry("x", "new"), gpu, entry("y", "new"), nic],
    },
    "some that go, change and come": {
      written: [entry("x"), gpu, entry("y"), nic, entry("z")],
      wanted: [entry("w"), entry("y", "new")],
      becomes: [gpu, entry("y", "new"), nic, entry("w")],
    },
    "all that go": {
      written: [entry("x"), gpu, entry("y"), nic],
      wanted: [],
      becomes: [gpu, nic],
    },
    "all there are": { written: [entry("x"), entry("y")], wanted: [], becomes: [] },
  };
  for (const [name, { written, wanted, becomes }] of Object.entries(cases)) {
    await t.step(name, () => {
      const metadata = { uid: "uid-a", resourceVersion: "7" };
      const claim = { metadata, status: written ? { devices: written } : {} };
      const operations = entriesPatch(claimStatus(claim), { driver, devices: wanted });
      assert.deepEqual(applyJsonPatch<object>(claim, operations), {
        metadata,
        status: { devices: becomes },
      });
      const sent = JSON.stringify(operations);
      assert.ok(!/gpu|nic/.test(sent), `other entries are in ${sent}`);
      for (const more of [{ uid: "uid-b" }, { resourceVersion: "8" }]) {
        const changed = { ...claim, metadata: { ...metadata, ...more } };
        assert.throws(() => applyJsonPatch<object>(changed, operations), /testing value .* failed/);
      }
    });
  }
});

Deno.test("entriesPatch() is empty where there is nothing to write and nothing to remove", () => {
  for (const devices of [undefined, [gpu]]) {
    const metadata = { uid: "uid-a", resourceVersion: "7" };
    const current = claimStatus({ metadata, status: { devices } });
    assert.deepEqual(entriesPatch(current, { driver, devices: [] }), []);
  }
});
