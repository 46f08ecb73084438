import assert from "node:assert/strict";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { clusterOf, type PagePod } from "../../tests/support/page_cluster.ts";
import { applyChanges, changesBetween } from "./map_changes.ts";
import type { MapPicture } from "./map_picture.ts";
import { mapPictureOf } from "./map_picture_of.ts";

const WEB: PagePod = { name: "web", node: "node-1", network: "lan", state: "attached" };

async function picture(...pods: PagePod[]): Promise<MapPicture> {
  const about = { server: "https://10.0.0.1:6443", reading: false };
  const { nodes, devices, networks, pods: shown, summary } = mapPictureOf(
    await pictureFrom(clusterOf(pods, ["node-1", "node-2"])),
    about,
  );
  // Each made-up object has a UID of its own; here, a pod is the same as before by its name.
  const stable = shown.map((pod) => ({ ...pod, key: pod.name, attachments: [] }));
  return { nodes, devices, networks, pods: stable, summary };
}

Deno.test("changesBetween() holds only what is new, different or gone", async () => {
  const before = await picture(WEB, { ...WEB, name: "db" });
  const after = await picture({ ...WEB, state: "failed" }, { ...WEB, name: "cache" });
  const changes = changesBetween(before, after)!;
  assert.deepEqual(changes.set.pods!.map(({ key, state }) => `${key} ${state}`), [
    "web failed",
    "cache attached",
  ]);
  assert.deepEqual(changes.gone, { pods: ["db"] });
  assert.equal(changes.set.nodes, undefined);
  assert.equal(changes.summary!.findings.length, 1);
  assert.equal(changesBetween(after, after), undefined);
});

Deno.test("applyChanges() gives the later picture", async () => {
  const pictures = [
    await picture(),
    await picture(WEB),
    await picture({ ...WEB, state: "lost" }, { ...WEB, name: "db", network: "storage" }),
    await picture({ ...WEB, name: "db" }),
    await picture(),
  ];
  let current = pictures[0]!;
  for (const next of pictures.slice(1)) {
    current = applyChanges(current, JSON.parse(JSON.stringify(changesBetween(current, next))));
    for (const kind of ["nodes", "devices", "networks", "pods"] as const) {
      const byKey = (things: readonly { readonly key: string }[]) =>
        things.toSorted((one, other) => one.key < other.key ? -1 : 1);
      assert.deepEqual(byKey(current[kind]), byKey(next[kind]), kind);
    }
    assert.deepEqual(current.summary, next.summary);
  }
});
