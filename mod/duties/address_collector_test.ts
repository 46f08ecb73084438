import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { AddressCollector, BETWEEN_LOOKS_MS } from "./address_collector.ts";
import type { AddressUse, LiveAddress } from "./address_use.ts";
import type { CollectorApi } from "./ports.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const never = new AbortController().signal;

/** A cluster with one address of a pod. */
class Scene implements CollectorApi {
  readonly clock = new FakeClock();
  readonly collector = new AddressCollector(this, { clock: this.clock, log: quiet });
  nodeNames = new Set(["node-1"]);
  pods = new Set<string>(["pod-uid"]);
  /** CLAIM for POD. */
  reservations = new Set<string>(["claim-uid for pod-uid"]);
  stored: LiveAddress | undefined = {
    name: "lan.10-38-0-5",
    uid: "address-uid",
    resourceVersion: "1",
    node: "node-1",
    pod: { namespace: "shop", name: "db-0", uid: "pod-uid" },
    claim: { namespace: "shop", name: "db", uid: "claim-uid" },
  };
  requests = 0;
  failing = false;

  /** As the agent has seen it in a watch. */
  async round(watched: LiveAddress | undefined = this.stored): Promise<void> {
    const uses = new Map<string, AddressUse>();
    if (watched) {
      uses.set(watched.name, {
        network: "lan",
        family: 4,
        value: 0x0a260005n,
        node: watched.node,
        pod: "shop/db-0",
        attachment: "a",
        ...(watched.keptUntil !== undefined && { keptUntil: watched.keptUntil }),
      });
    }
    await this.collector.round(uses, never);
  }

  nodes = () => Promise.resolve(this.nodeNames);
  hasNode = (name: string) => this.#answer(() => this.nodeNames.has(name));
  hasPod = ({ uid }: { uid: string }) => this.#answer(() => this.pods.has(uid));
  isReserved = ({ uid }: { uid: string }, { pod }: { pod: { uid: string } }) =>
    this.#answer(() => this.reservations.has(`${uid} for ${pod.uid}`));
  address = (name: string) =>
    this.#answer(() => this.stored?.name === name ? this.stored : undefined);
  remove = ({ uid, resourceVersion }: LiveAddress) =>
    this.#answer(() => {
      const isSame = this.stored?.uid === uid && this.stored.resourceVersion === resourceVersion;
      if (isSame) this.stored = undefined;
      return isSame;
    });

  allGone(): void {
    this.nodeNames.clear();
    this.pods.clear();
    this.reservations.clear();
  }

  #answer<T>(answer: () => T): Promise<T> {
    this.requests++;
    return this.failing ? Promise.reject(new Error("no answer")) : Promise.resolve(answer());
  }
}

Deno.test("an address is freed at the second look, a minute after the first", async () => {
  const scene = new Scene();
  scene.allGone();
  await scene.round();
  await scene.clock.advance(BETWEEN_LOOKS_MS - 1);
  await scene.round();
  assert.ok(scene.stored);
  await scene.clock.advance(1);
  await scene.round();
  assert.equal(scene.stored, undefined);
});

for (
  const [what, stays] of Object.entries({
    "a Node of that name": (scene: Scene) => scene.nodeNames.add("node-1"),
    "the pod": (scene: Scene) => scene.pods.add("pod-uid"),
    "the claim, reserved for the pod": (scene: Scene) =>
      scene.reservations.add("claim-uid for pod-uid"),
  })
) {
  Deno.test(`an address is never freed while there is ${what}`, async () => {
    const scene = new Scene();
    scene.allGone();
    stays(scene);
    for (let n = 0; n < 5; n++) {
      await scene.round();
      await scene.clock.advance(BETWEEN_LOOKS_MS);
    }
    assert.ok(scene.stored);
  });
}

Deno.test("names do not count: another pod and claim of the same names do not keep an address", async () => {
  const scene = new Scene();
  scene.allGone();
  scene.pods.add("another");
  scene.reservations.add("another for another");
  await scene.round();
  await scene.clock.advance(BETWEEN_LOOKS_MS);
  await scene.round();
  assert.equal(scene.stored, undefined);
});

Deno.test("a pod that is there again between two looks, or an answer that is missing, begins anew", async () => {
  for (
    const between of [
      (scene: Scene) => scene.pods.add("pod-uid"),
      (scene: Scene) => scene.failing = true,
    ]
  ) {
    const scene = new Scene();
    scene.allGone();
    await scene.round();
    await scene.clock.advance(BETWEEN_LOOKS_MS / 2);
    between(scene);
    await scene.round();
    scene.failing = false;
    scene.pods.clear();
    await scene.clock.advance(BETWEEN_LOOKS_MS / 2);
    await scene.round();
    assert.ok(scene.stored);
    await scene.clock.advance(BETWEEN_LOOKS_MS);
    await scene.round();
    assert.equal(scene.stored, undefined);
  }
});

Deno.test("an address that another pod has meanwhile is a new one", async () => {
  const scene = new Scene();
  scene.allGone();
  await scene.round();
  await scene.clock.advance(BETWEEN_LOOKS_MS);
  const watched = scene.stored!;
  scene.stored = { ...watched, uid: "another-uid" };
  await scene.round(watched);
  assert.ok(scene.stored);
});

Deno.test("a kept address is freed when its time is over, unless a pod took it meanwhile", async () => {
  const scene = new Scene();
  scene.allGone();
  const kept = { ...scene.stored!, keptUntil: scene.clock.now().getTime() + 600_000 };
  scene.stored = kept;
  await scene.clock.advance(599_000);
  await scene.round();
  assert.ok(scene.stored);
  await scene.clock.advance(1_000);
  // The watch is behind.
  scene.nodeNames.add("node-1");
  const { keptUntil: _, ...taken } = kept;
  scene.stored = { ...taken, resourceVersion: "2" };
  await scene.round(kept);
  assert.ok(scene.stored);
  scene.stored = kept;
  await scene.round();
  assert.equal(scene.stored, undefined);
});

Deno.test("addresses of nodes that are there cost no requests", async () => {
  const scene = new Scene();
  await scene.round();
  assert.equal(scene.requests, 0);
});
