import assert from "node:assert/strict";
import { anAttachment } from "../../../tests/support/agent_fakes.ts";
import type { CniResult } from "../model.ts";
import { deviceStatuses } from "./device_status.ts";
import { restored } from "../attachments/attachment_state.ts";
import { viewOf } from "../attachments/attachment_view.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };
const attachment = anAttachment("net1");
/** What the API server takes of `data`, in bytes. */
const LIMIT = 10 * 1024;

/** The status of a claim whose plugin gave a result of so many bytes, as Go's encoding/json writes it. */
function statusOf(bytes: number, filling: string, each: number) {
  const result = { cniVersion: "1.0.0", note: "" };
  const room = bytes - JSON.stringify(result).length;
  const note = filling.repeat(Math.floor(room / each)) + "x".repeat(room % each);
  return statusWith({ ...result, note });
}

function statusWith(result: CniResult) {
  const attached = { result, networkData: {}, at: "2026-01-01T00:00:00Z" };
  const entry = viewOf({ claim, attachment, state: restored({ attached }) });
  const record = { claim, pods: [], shareable: false, attachments: [attachment] };
  const [status] = deviceStatuses(record, { driver: "d", entries: [entry] });
  return status!;
}

Deno.test("deviceStatuses() leaves out a result that the API server finds too long", async (t) => {
  // How many bytes Go's encoding/json needs for each.
  const cases = { "x": 1, "é": 2, "<": 6, ">": 6, "&": 6, "\u2028": 6, "\u2029": 6, "\x7f": 3 };
  for (const [filling, each] of Object.entries(cases)) {
    await t.step(JSON.stringify(filling), () => {
      assert.ok(statusOf(LIMIT, filling, each).data);
      const { data, conditions } = statusOf(LIMIT + 1, filling, each);
      assert.equal(data, undefined);
      assert.match(conditions[0]!.message, /exceeds 10 KiB and is left out/);
    });
  }
});

Deno.test("deviceStatuses() shows the interfaces and ips of a result that the API server finds too long", () => {
  const short = {
    cniVersion: "1.0.0",
    interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", sandbox: "/run/netns/s" }],
    ips: [{ address: "10.0.0.2/24", interface: 0 }],
  };
  const { data, conditions } = statusWith({ ...short, dns: { search: ["x".repeat(LIMIT)] } });
  assert.deepEqual(data, short);
  assert.match(conditions[0]!.message, /which exceeds 10 KiB, only interfaces and ips\)$/);
  const interfaces = Array(200).fill({ name: "net1", mac: "x".repeat(60) });
  assert.equal(statusWith({ ...short, interfaces }).data, undefined);
});
