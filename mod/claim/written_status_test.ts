import assert from "node:assert/strict";
import { writtenDefaultName, writtenStatus } from "./written_status.ts";

const device = { request: "net", pool: "node", device: "cni", shareID: "s" };
const entry = {
  driver: "d",
  pool: "node",
  device: "cni",
  shareID: "s",
  conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }],
  data: { cniVersion: "1.0.0", interfaces: [] },
  networkData: { interfaceName: "net1", ips: ["10.0.0.2/24"] },
};

function of(...devices: unknown[]) {
  return writtenStatus({ status: { devices } }, { driver: "d", device });
}

Deno.test("writtenStatus() finds the device's entry", () => {
  const other = { ...entry, shareID: "t", data: { cniVersion: "0.4.0" } };
  assert.deepEqual(of({ driver: "gpu" }, other, entry), {
    result: entry.data,
    networkData: entry.networkData,
    readySince: "2026-01-01T00:00:00Z",
  });
  const notReady = { ...entry, conditions: [{ type: "Ready", status: "False" }] };
  assert.equal(of(notReady)?.readySince, undefined);
  assert.deepEqual(of({ ...entry, networkData: undefined })?.networkData, {});
});

Deno.test("writtenStatus() takes nothing from what this driver does not write", () => {
  const cases: unknown[] = [
    undefined,
    { ...entry, data: undefined },
    { ...entry, data: { interfaces: [] } },
    { ...entry, data: "text" },
    { ...entry, networkData: { ips: "10.0.0.2/24" } },
    { ...entry, networkData: { ips: [1] } },
    { ...entry, conditions: {} },
  ];
  for (const each of cases) assert.equal(of(each), undefined);
  assert.equal(writtenStatus({}, { driver: "d", device }), undefined);
});

Deno.test("writtenDefaultName() gives the name that an earlier run chose, and no other", () => {
  const of = (interfaceName: unknown, more: object = {}) =>
    writtenDefaultName(
      { status: { devices: [{ ...entry, networkData: { interfaceName }, ...more }] } },
      { driver: "d", device },
    );
  assert.equal(of("net2"), "net2");
  assert.equal(of("net12", { data: undefined }), "net12");
  const others = ["eth1", "net0", "net01", "net1/../x", "net%d", "net12345678901234", 1, undefined];
  for (const name of others) assert.equal(of(name), undefined, String(name));
  assert.equal(of("net2", { shareID: "t" }), undefined);
  assert.equal(writtenDefaultName({}, { driver: "d", device }), undefined);
});
