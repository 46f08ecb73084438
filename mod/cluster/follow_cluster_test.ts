import assert from "node:assert/strict";
import { rawClaim, rawCluster, rawPod } from "../../tests/support/cluster_objects.ts";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { withUserConnection } from "../../tests/support/user_connection.ts";
import { systemClock } from "../async/clock.ts";
import { Notifier } from "../async/notifier.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { ClusterFollower } from "./follow_cluster.ts";
import { itemsOf, type Kind } from "./objects.ts";

/**
 * Follows a made-up cluster and hands over a way to wait until something is so.
 *
 * @param forbidden the plural that must not be read
 */
function following(
  { kinds, forbidden }: { readonly kinds: readonly Kind[]; readonly forbidden?: string },
  body: (bench: {
    readonly api: ClusterApi;
    readonly follower: ClusterFollower;
    readonly until: (isSo: () => boolean) => Promise<void>;
  }) => Promise<void>,
) {
  const cluster = rawCluster({ resourceclaims: [rawClaim("lan", { node: "node-1" })] });
  return withClusterApi(cluster, (api) => {
    const refusal = { message: "it is forbidden" };
    api.fault = (plural) =>
      plural === forbidden ? Response.json(refusal, { status: 403 }) : undefined;
    return withUserConnection(api, async (connection) => {
      const [end, changes] = [new AbortController(), new Notifier()];
      const signal = AbortSignal.any([end.signal, AbortSignal.timeout(60_000)]);
      const follower = new ClusterFollower(new KubeObjectSource(connection), {
        kinds,
        signal,
        clock: systemClock,
        changed: () => changes.notify(),
      });
      const running = follower.run();
      const until = async (isSo: () => boolean) => {
        while (!isSo()) await changes.next(signal);
      };
      try {
        await body({ api, follower, until });
      } finally {
        end.abort();
        await running;
      }
    });
  });
}

/** Resolves once somebody watches. */
async function watched(api: ClusterApi): Promise<void> {
  while (!api.asked.some((line) => line.includes("watch=true"))) {
    await systemClock.sleep(5, AbortSignal.timeout(30_000));
  }
  // The answer's body begins just after.
  await systemClock.sleep(20);
}

Deno.test("ClusterFollower keeps up by one list and one watch a kind", () =>
  following({ kinds: ["ResourceClaim"] }, async ({ api, follower, until }) => {
    const names = () => itemsOf(follower.objects(), "ResourceClaim").map(({ name }) => name);
    await until(() => names().length === 1);
    await watched(api);
    const other = rawClaim("other");
    api.tell("resourceclaims", "ADDED", other);
    await until(() => names().length === 2);
    api.tell("resourceclaims", "BOOKMARK", { metadata: { resourceVersion: "2000" } });
    api.tell("resourceclaims", "DELETED", other);
    await until(() => names().length === 1);
    assert.deepEqual(names(), ["lan"]);
    assert.equal(api.asked.length, 2);
    assert.match(api.asked[1]!, /watch=true.*resourceVersion=1000/);
  }));

Deno.test("ClusterFollower lists again only when the watch has missed something", () =>
  following({ kinds: ["Pod"] }, async ({ api, follower, until }) => {
    await watched(api);
    const pod = rawPod("web", { claims: [{ name: "lan", resourceClaimName: "lan" }] });
    api.tell("pods", "ADDED", pod);
    await until(() => itemsOf(follower.objects(), "Pod").length === 1);
    api.endWatches();
    while (api.asked.length < 3) await systemClock.sleep(5, AbortSignal.timeout(30_000));
    const { resourceVersion } = pod.metadata as { resourceVersion: string };
    assert.match(api.asked[2]!, new RegExp(`watch=true.*resourceVersion=${resourceVersion}`));
    await systemClock.sleep(20);
    api.tell("pods", "ERROR", { code: 410, reason: "Expired" });
    await until(() => itemsOf(follower.objects(), "Pod").length === 0);
    assert.ok(!api.asked[3]!.includes("watch"));
  }));

Deno.test("ClusterFollower says what it may not read, and follows the rest", () =>
  following(
    { kinds: ["ResourceClaim", "Node"], forbidden: "nodes" },
    async ({ follower, until }) => {
      await until(() => {
        const { Node, ResourceClaim } = follower.objects();
        return Node.state === "unread" && ResourceClaim.state === "read";
      });
      const { Node, Pod } = follower.objects();
      assert.ok(Node.state === "unread");
      assert.equal(Node.unread.cause, "forbidden");
      assert.match(Node.unread.message, /no right to list nodes in the whole cluster/);
      assert.equal(Pod.state, "unasked");
    },
  ));
