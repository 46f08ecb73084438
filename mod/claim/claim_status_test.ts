import assert from "node:assert/strict";
import { claimStatus } from "./claim_status.ts";

const metadata = { uid: "uid-a", resourceVersion: "7" };
const lan = { driver: "dra.networking", pool: "node-1", device: "eth0" };
const at = "2026-01-01T00:00:00Z";

Deno.test("claimStatus() reads what is allocated and what is written of it", () => {
  const condition = { type: "Ready", status: "True", lastTransitionTime: at, message: "" };
  const other = { type: "Other", status: "False", lastTransitionTime: at };
  const claim = {
    metadata,
    status: {
      allocation: { devices: { results: [{ ...lan, request: "r" }, { ...lan, shareID: "s" }] } },
      devices: [{ ...lan, data: {}, conditions: [other, condition] }, { ...lan, shareID: "s" }],
    },
  };
  const [first, second] = claim.status.devices;
  assert.deepEqual(claimStatus(claim), {
    ...metadata,
    allocated: [lan, { ...lan, shareID: "s" }],
    written: [
      { ...lan, entry: first, ready: { status: "True", lastTransitionTime: at } },
      { ...lan, shareID: "s", entry: second },
    ],
  });
});

Deno.test("claimStatus() reads a claim that is not allocated", () => {
  const empty = { ...metadata, allocated: [], written: [] };
  for (const status of [undefined, {}, { allocation: {} }, { devices: [] }]) {
    assert.deepEqual(claimStatus({ metadata, status }), empty);
  }
});

Deno.test("claimStatus() says which field it cannot read", () => {
  const cases: [unknown, RegExp][] = [
    [[], /the claim: must be an object/],
    [{ metadata: { uid: "a/b", resourceVersion: "1" } }, /metadata\.uid/],
    [{ metadata: { uid: "a" } }, /metadata\.resourceVersion/],
    [{ metadata, status: { devices: {} } }, /status\.devices: must be a list/],
    [{ metadata, status: { devices: [{ ...lan, pool: 1 }] } }, /status\.devices\[0\]\.pool/],
    [
      { metadata, status: { devices: [{ ...lan, conditions: [{ type: "Ready" }] }] } },
      /status\.devices\[0\]\.conditions\[0\]\.status/,
    ],
  ];
  for (const [claim, says] of cases) assert.throws(() => claimStatus(claim), says);
});
