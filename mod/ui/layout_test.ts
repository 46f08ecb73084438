import assert from "node:assert/strict";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { type clusterOf, largeCluster, smallCluster } from "../../tests/support/page_cluster.ts";
import { type Box, connectionsOf, layoutOf, type MapLayout, NO_NODE } from "./layout.ts";
import type { MapPicture } from "./map_picture.ts";
import { mapPictureOf } from "./map_picture_of.ts";

const NOW = new Date("2026-11-30T10:05:00Z");

async function picture(cluster: ReturnType<typeof clusterOf>): Promise<MapPicture> {
  return mapPictureOf(await pictureFrom(cluster), { server: "", reading: false });
}

const small = await picture(smallCluster(NOW));
const large = await picture(largeCluster(NOW));

function overlap(one: Box, other: Box): boolean {
  return Math.abs(one.x - other.x) < (one.width + other.width) / 2 &&
    Math.abs(one.y - other.y) < (one.height + other.height) / 2;
}

function isInside(inner: Box, outer: Box): boolean {
  return Math.abs(inner.x - outer.x) + inner.width / 2 <= outer.width / 2 &&
    Math.abs(inner.y - outer.y) + inner.height / 2 <= outer.height / 2;
}

/** Each box of a node's card is inside of it, and no two boxes of a kind lie upon one another. */
function check({ pods, devices }: MapPicture, layout: MapLayout): void {
  for (const { key, node = NO_NODE } of pods) {
    assert.ok(isInside(layout.pods.get(key)!, layout.cards.get(node)!), key);
  }
  for (const { key, node } of devices) {
    assert.ok(isInside(layout.devices.get(key)!, layout.cards.get(node)!), key);
  }
  for (const boxes of [layout.cards, layout.networks, layout.devices, layout.pods]) {
    const all = [...boxes.values()];
    all.forEach((one, i) => {
      for (const other of all.slice(i + 1)) assert.ok(!overlap(one, other));
    });
  }
  for (const network of layout.networks.values()) {
    for (const card of layout.cards.values()) assert.ok(!overlap(network, card));
  }
}

Deno.test("layoutOf() puts everything of a small cluster where it belongs, with room for labels", () => {
  const layout = layoutOf(small, 1.3);
  check(small, layout);
  assert.equal(layout.dense, false);
  assert.deepEqual([...layout.cards.keys()], [NO_NODE, "node-1", "node-2", "node-3", "node-4"]);
});

Deno.test("layoutOf() puts 2,000 pods of 100 nodes close together, nodes in the order of their numbers", () => {
  const layout = layoutOf(large, 1.3);
  assert.equal(layout.pods.size, 2_000);
  check(large, layout);
  assert.equal(layout.dense, true);
  const names = [...layout.cards.keys()];
  assert.deepEqual(names.slice(0, 3), ["node-1", "node-2", "node-3"]);
  assert.equal(names.at(-1), "node-100");
});

for (const aspect of [0.5, 1, 2.5]) {
  Deno.test(`layoutOf() fits a window ${aspect} times as wide as high`, () => {
    const boxes = [...layoutOf(large, aspect).cards.values()];
    const width = Math.max(...boxes.map(({ x, width }) => x + width / 2));
    const height = Math.max(...boxes.map(({ y, height }) => y + height / 2));
    assert.ok(width / height > aspect / 1.6 && width / height < aspect * 1.6, `${width}/${height}`);
  });
}

Deno.test("layoutOf() moves nothing but what follows on the card when a pod comes", () => {
  const key = "new";
  const [first] = large.pods;
  const more = { ...large, pods: [...large.pods, { ...first!, key, name: "zz" }] };
  const [before, after] = [layoutOf(large, 1.3), layoutOf(more, 1.3)];
  const moved = [...before.pods].filter(([each, box]) =>
    JSON.stringify(box) !== JSON.stringify(after.pods.get(each))
  );
  assert.deepEqual(moved, []);
  assert.ok(after.pods.has(key));
});

Deno.test("layoutOf() takes a cluster without anything", () => {
  const nothing = { ...small, nodes: [], devices: [], networks: [], pods: [] };
  assert.equal(layoutOf(nothing, 1.3).cards.size, 0);
});

Deno.test("connectionsOf() leads from pods over interfaces to networks, each once", () => {
  const named = (name: string) => small.pods.filter((pod) => pod.name === name);
  const connected = (pods: typeof small.pods) =>
    connectionsOf(pods).map(({ kind, to }) => `${kind} ${to}`);
  assert.deepEqual(connected([...named("web-1"), ...named("web-3")]), [
    "pod dra.networking node-2 eth1",
    "network parameters lan",
    "pod dra.networking node-2 eth1",
  ]);
  assert.deepEqual(connected(named("batch-0")), ["wanted parameters lan"]);
});
