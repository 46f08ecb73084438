import assert from "node:assert/strict";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { smallCluster } from "../../tests/support/page_cluster.ts";
import { mapPictureOf } from "./map_picture_of.ts";
import { barLength, durationText, timelineOf } from "./timeline.ts";

const NOW = new Date("2026-11-30T10:05:00Z");

Deno.test("timelineOf() gives all attachments, the latest first, with what each took or waits", async () => {
  const picture = mapPictureOf(await pictureFrom(smallCluster(NOW)), {
    server: "",
    reading: false,
  });
  const entries = timelineOf(picture, NOW.getTime());
  assert.equal(entries.length, 10);
  const shown = entries.slice(0, 4).map(({ name, network, duration }) => ({
    name,
    network,
    ...duration,
  }));
  assert.deepEqual(shown, [
    { name: "shop/gateway-1", network: "edge", kind: "waiting", ms: 6_000 },
    { name: "default/web-3", network: "lan", kind: "waiting", ms: 180_000 },
    { name: "default/batch-0", network: "lan", kind: "waiting", ms: 360_000 },
    { name: "shop/gateway-0", network: "edge", kind: "took", ms: 1_000 },
  ]);
  const lost = entries.find(({ name }) => name === "shop/db-2")!;
  assert.deepEqual(lost.duration, { kind: "unknown" });
});

Deno.test("timelineOf() measures nothing of a pod that came to a claim that was ready already", async () => {
  const { pods, ...rest } = mapPictureOf(await pictureFrom(smallCluster(NOW)), {
    server: "",
    reading: false,
  });
  const late = pods.map((pod) => ({
    ...pod,
    attachments: pod.attachments.map((each) => ({ ...each, began: NOW.toISOString() })),
  }));
  const entries = timelineOf({ ...rest, pods: late }, NOW.getTime());
  assert.deepEqual(entries.find(({ name }) => name === "default/web-0")!.duration, {
    kind: "unknown",
  });
});

for (
  const [ms, text] of [
    [0, "0 s"],
    [2_400, "2 s"],
    [119_000, "119 s"],
    [180_000, "3 min"],
    [3 * 3_600_000, "3 h"],
    [72 * 3_600_000, "3 d"],
  ] as const
) {
  Deno.test(`durationText() says ${text}`, () => assert.equal(durationText(ms), text));
}

Deno.test("barLength() is 1 for the longest, and tells seconds from hours", () => {
  assert.equal(barLength(3_600_000, 3_600_000), 1);
  assert.ok(barLength(1_000, 3_600_000) > 0.05);
  assert.ok(barLength(60_000, 3_600_000) < 0.6);
  assert.equal(barLength(0, 0), 0);
});
