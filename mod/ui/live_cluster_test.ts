import assert from "node:assert/strict";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import type { RawCluster } from "../../tests/support/cluster_objects.ts";
import { clusterOf, podObjects } from "../../tests/support/page_cluster.ts";
import { withUserConnection } from "../../tests/support/user_connection.ts";
import { systemClock } from "../async/clock.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { LiveCluster } from "./live_cluster.ts";
import type { MapChanges } from "./map_changes.ts";

/** Follows a made-up cluster; `until` waits until something is so. */
function live(
  cluster: RawCluster,
  body: (bench: {
    readonly api: ClusterApi;
    readonly live: LiveCluster;
    readonly changes: readonly MapChanges[];
    readonly until: (isSo: () => boolean) => Promise<void>;
  }) => Promise<void>,
) {
  return withClusterApi(cluster, (api) =>
    withUserConnection(api, async (connection) => {
      const end = new AbortController();
      const live = new LiveCluster(new KubeObjectSource(connection), {
        server: api.url,
        clock: systemClock,
        signal: end.signal,
      });
      const changes: MapChanges[] = [];
      live.subscribe((each) => changes.push(each));
      const running = live.run();
      const limit = AbortSignal.timeout(60_000);
      const until = async (isSo: () => boolean) => {
        while (!isSo()) await systemClock.sleep(20, limit);
      };
      try {
        await body({ api, live, changes, until });
      } finally {
        end.abort();
        await running;
      }
    }));
}

const WEB = { name: "web", node: "node-1", network: "lan", state: "attached" } as const;

Deno.test("LiveCluster shows a pod that comes, and explains it, with one list and one watch a kind", () =>
  live(clusterOf([], ["node-1"]), async ({ api, live, changes, until }) => {
    assert.equal(live.picture.summary.reading, true);
    await until(() => !live.picture.summary.reading);
    await until(() => api.asked.filter((line) => line.includes("watch=true")).length === 8);
    await systemClock.sleep(50);
    const { pod, claim } = podObjects({ ...WEB, state: "failed" });
    api.tell("resourceclaims", "ADDED", claim);
    api.tell("pods", "ADDED", pod);
    await until(() => live.picture.pods.length === 1);
    const [{ key, state }] = live.picture.pods as [typeof live.picture.pods[number]];
    assert.equal(state, "failed");
    assert.equal(live.explain(key)![0]!.hangsAt, "attach");
    assert.equal(live.explain("uid-other"), undefined);
    assert.deepEqual(changes.at(-1)!.set.pods!.map(({ name }) => name), ["web"]);
    assert.equal(changes.at(-1)!.set.nodes, undefined);
    assert.equal(api.asked.length, 16);
  }));

Deno.test("LiveCluster says when the API server does not answer, keeps what it has, and says when it does again", () =>
  live(clusterOf([WEB], ["node-1"]), async ({ api, live, until }) => {
    await until(() => live.picture.pods.length === 1 && !live.picture.summary.reading);
    await until(() => api.asked.filter((line) => line.includes("watch=true")).length === 8);
    api.fault = () => Response.json({ message: "etcd is away" }, { status: 500 });
    api.endWatches();
    await until(() => live.picture.summary.away !== undefined);
    assert.match(live.picture.summary.away!, /etcd is away/);
    assert.equal(live.picture.pods.length, 1);
    api.fault = () => undefined;
    await until(() => live.picture.summary.away === undefined);
    assert.equal(live.picture.pods.length, 1);
  }));

Deno.test("LiveCluster says what the user has no right to, and shows the rest", () =>
  live(clusterOf([WEB], ["node-1"]), async ({ api, live, until }) => {
    api.fault = (plural) =>
      plural === "nodes" ? Response.json({ message: "forbidden" }, { status: 403 }) : undefined;
    await until(() => live.picture.pods.length === 1 && !live.picture.summary.reading);
    const { unread, away } = live.picture.summary;
    assert.match(unread[0]!, /no right to list nodes in the whole cluster/);
    assert.equal(away, undefined);
    assert.equal(live.picture.nodes.length, 1);
  }));
