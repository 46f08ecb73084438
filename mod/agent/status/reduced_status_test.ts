import assert from "node:assert/strict";
import type { DeviceStatus } from "../model.ts";
import { reducedStatuses } from "./reduced_status.ts";

const condition = {
  type: "Ready" as const,
  status: "True" as const,
  reason: "NetworkInterfaceReady" as const,
  message: "attached as net1",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};
const bare: DeviceStatus = { driver: "d", pool: "node", device: "x", conditions: [condition] };
const data = { cniVersion: "1.0.0" };
const networkData = { interfaceName: "net1", hardwareAddress: "02:00:00:00:00:01", ips: [] };

const whatIsLeftOut = (devices: DeviceStatus[]) =>
  reducedStatuses(devices).map(({ without }) => without);

Deno.test("reducedStatuses() leaves out more in each form, and keeps the conditions", () => {
  const forms = reducedStatuses([{ ...bare, data, networkData }]);
  const noted = (what: string) => ({
    ...condition,
    message: `attached as net1 (written without ${what}, which the API server refuses)`,
  });
  assert.deepEqual(forms.map(({ devices }) => devices), [
    [{ ...bare, data, networkData }],
    [{ ...bare, networkData, conditions: [noted("data")] }],
    [{
      ...bare,
      networkData: { interfaceName: "net1" },
      conditions: [noted("data and addresses")],
    }],
    [{ ...bare, conditions: [noted("data and networkData")] }],
  ]);
});

Deno.test("reducedStatuses() gives no form twice", () => {
  assert.deepEqual(whatIsLeftOut([]), [undefined]);
  assert.deepEqual(whatIsLeftOut([bare]), [undefined]);
  assert.deepEqual(whatIsLeftOut([{ ...bare, data }]), [undefined, "data"]);
  const named = { ...bare, networkData: { interfaceName: "net1" } };
  assert.deepEqual(whatIsLeftOut([named]), [undefined, "data and networkData"]);
});

Deno.test("reducedStatuses() says nothing of entries that stay whole", () => {
  const [, second] = reducedStatuses([bare, { ...bare, device: "y", data }]);
  assert.deepEqual(second!.devices[0], bare);
});
