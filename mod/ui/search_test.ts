import assert from "node:assert/strict";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { smallCluster } from "../../tests/support/page_cluster.ts";
import { mapPictureOf } from "./map_picture_of.ts";
import { searchPods } from "./search.ts";

const cluster = smallCluster(new Date("2026-11-30T10:05:00Z"));
const picture = mapPictureOf(await pictureFrom(cluster), { server: "", reading: false });

for (
  const [query, found] of [
    ["web-3", ["web-3"]],
    ["shop/gateway", ["gateway-0", "gateway-1"]],
    ["NODE-3", ["web-2", "db-1"]],
    ["storage lost", ["db-2"]],
    ["10.88.0.", ["db-0", "db-1"]],
    ["eth2 node-4", ["db-2"]],
    ["web-1-net", ["web-1"]],
    ["attaching", ["gateway-1"]],
    ["nosuch", []],
  ] as const
) {
  Deno.test(`searchPods() finds by ${JSON.stringify(query)}`, () => {
    assert.deepEqual(searchPods(picture, query).map(({ name }) => name), found);
  });
}

Deno.test("searchPods() finds all without words", () => {
  assert.equal(searchPods(picture, "  ").length, 10);
});
