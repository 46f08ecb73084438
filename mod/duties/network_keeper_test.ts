import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import type { AddressUse } from "./address_use.ts";
import { NetworkKeeper } from "./network_keeper.ts";
import { familyOf, ipNumber } from "../addresses/ip_range.ts";
import { countedPools } from "./counted_pools.ts";
import type { NetworkStatus } from "./network_status.ts";
import type { NetworkApi } from "./ports.ts";
import { FINALIZER, type WatchedNetwork } from "./watched_network.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const signal = new AbortController().signal;

/** Nine IPv4 addresses, 10.38.0.1 to 10.38.0.9, and more of IPv6 than anybody counts. */
const POOLS = countedPools({
  pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.1-10.38.0.9"] }, { subnet: "fd00:38::/64" }],
});

/** Networks as an API server has them, whose watch tells of changes at once unless it is behind. */
class Scene implements NetworkApi {
  readonly clock = new FakeClock();
  readonly keeper = new NetworkKeeper(this, {
    driver: "dra.networking",
    clock: this.clock,
    log: quiet,
  });
  networks = new Map<string, WatchedNetwork>();
  addresses = new Map<string, AddressUse>();
  allocated: unknown[] = [];
  readonly writes: string[] = [];
  lists = 0;
  isBehind = false;
  #version = 0;

  network(name: string, more: Partial<WatchedNetwork> = {}): void {
    this.networks.set(name, {
      name,
      uid: `uid-${name}`,
      resourceVersion: `${++this.#version}`,
      generation: 1,
      finalizers: [FINALIZER],
      isDeleting: false,
      pools: POOLS,
      invalid: undefined,
      status: undefined,
      ...this.networks.get(name),
      ...more,
    });
  }

  uses(network: string, addresses: readonly string[], more: Partial<AddressUse> = {}): void {
    for (const address of addresses) {
      const pod = `shop/${address}`;
      const place = { family: familyOf(address), value: ipNumber(address)! };
      const use = { network, ...place, node: "node-1", pod, attachment: address, ...more };
      this.addresses.set(`${network} ${address}`, use);
    }
  }

  async round(): Promise<void> {
    await this.keeper.round(this.networks, { addresses: this.addresses, signal });
    await this.clock.advance(10_000);
  }

  status(name: string): NetworkStatus | undefined {
    return this.networks.get(name)?.status;
  }

  /** `<type>=<status>: <message>` of each condition. */
  conditions(name: string): string[] {
    return (this.status(name)?.conditions ?? []).map(({ type, status, message }) =>
      `${type}=${status}: ${message}`
    );
  }

  writeStatus: NetworkApi["writeStatus"] = ({ name }, { status }) => {
    this.writes.push(`status of ${name}`);
    if (!this.isBehind) this.network(name, { status, resourceVersion: `${++this.#version}` });
    return Promise.resolve();
  };

  writeFinalizers: NetworkApi["writeFinalizers"] = ({ name }, { finalizers }) => {
    this.writes.push(`finalizers of ${name}: ${finalizers}`);
    const isGone = this.networks.get(name)?.isDeleting && finalizers.length === 0;
    if (isGone) this.networks.delete(name);
    else this.network(name, { finalizers, resourceVersion: `${++this.#version}` });
    return Promise.resolve();
  };

  async *claims(): AsyncGenerator<readonly unknown[]> {
    this.lists++;
    yield this.allocated;
  }
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `10.38.0.${from + i}`);

Deno.test("the status counts attachments and addresses, and is written only when it changes", async () => {
  const scene = new Scene();
  scene.network("lan");
  scene.uses("lan", range(1, 3));
  scene.uses("lan", ["fd00:38::1"], { attachment: "10.38.0.1" });
  // One outside of the ranges, and one that is kept.
  scene.uses("lan", ["10.38.0.200"]);
  scene.uses("lan", ["10.38.0.9"], { keptUntil: 1e15 });
  for (let n = 0; n < 3; n++) await scene.round();
  assert.deepEqual(scene.writes, ["status of lan"]);
  const { conditions, ...counts } = scene.status("lan")!;
  assert.deepEqual(counts, {
    observedGeneration: 1,
    attachments: 4,
    addresses: { ipv4: { used: 5, left: 5 }, ipv6: { used: 1, left: 2147483647 } },
  });
  assert.deepEqual(conditions.map(({ type, status }) => `${type}=${status}`), [
    "Valid=True",
    "Exhausted=False",
  ]);
  scene.uses("lan", ["10.38.0.4"]);
  await scene.round();
  assert.equal(scene.writes.length, 2);
});

Deno.test("a status is not written again while the watch is behind", async () => {
  const scene = new Scene();
  scene.network("lan");
  scene.isBehind = true;
  for (let n = 0; n < 3; n++) await scene.round();
  assert.equal(scene.writes.length, 1);
});

Deno.test("what another has written over the status is put right", async () => {
  const scene = new Scene();
  scene.network("lan");
  await scene.round();
  const right = scene.status("lan")!;
  scene.network("lan", { status: { ...right, attachments: 7 }, resourceVersion: "another" });
  await scene.round();
  assert.deepEqual(scene.status("lan"), right);
});

Deno.test("a Network without an address left is Exhausted, since when it is", async () => {
  const scene = new Scene();
  scene.network("lan");
  await scene.round();
  const [, before] = scene.status("lan")!.conditions;
  scene.uses("lan", range(1, 9));
  await scene.round();
  assert.deepEqual(scene.conditions("lan"), [
    "Valid=True: claims can use the network",
    "Exhausted=True: no IPv4 address is left: pods wait until one is given back",
  ]);
  const [valid, exhausted] = scene.status("lan")!.conditions;
  assert.equal(valid!.lastTransitionTime, before!.lastTransitionTime);
  assert.equal(exhausted!.lastTransitionTime, "2026-01-01T00:00:10Z");
});

Deno.test("a Network that is not valid says so, with its generation", async () => {
  const scene = new Scene();
  scene.network("lan", { pools: undefined, invalid: "spec.mtu: must be …", generation: 4 });
  await scene.round();
  const { observedGeneration, conditions, ...rest } = scene.status("lan")!;
  assert.deepEqual([observedGeneration, rest], [4, {}]);
  assert.deepEqual(conditions.map(({ status, message }) => [status, message]), [
    ["False", "spec.mtu: must be …"],
  ]);
});

Deno.test("Networks with addresses get the finalizer, others do not", async () => {
  const scene = new Scene();
  scene.network("lan", { finalizers: ["example.com/own"] });
  scene.network("plain", { finalizers: [], pools: undefined });
  await scene.round();
  await scene.round();
  const finalizers = scene.writes.filter((each) => each.startsWith("finalizers"));
  assert.deepEqual(finalizers, [`finalizers of lan: example.com/own,${FINALIZER}`]);
});

Deno.test("a deleted Network waits for its pods, names five of them, and then goes", async () => {
  const scene = new Scene();
  scene.network("lan");
  scene.uses("lan", range(1, 7));
  await scene.round();
  scene.network("lan", { isDeleting: true });
  await scene.round();
  const pods = range(1, 5).map((address) => `pod shop/${address}`).join(", ");
  const waits = "the Network is deleted when nothing uses it; in use by ";
  assert.equal(scene.conditions("lan").at(-1), `InUse=True: ${waits}${pods} and 2 more`);
  scene.addresses.clear();
  scene.uses("lan", ["10.38.0.9"], { keptUntil: 1e15 });
  await scene.round();
  assert.equal(scene.networks.has("lan"), false);
});

Deno.test("a deleted Network waits for the claims that name it; they are listed only meanwhile", async () => {
  const scene = new Scene();
  const opaque = { driver: "dra.networking", parameters: { networkName: "lan" } };
  const claim = {
    metadata: { namespace: "shop", name: "db" },
    status: { allocation: { devices: { config: [{ opaque }] } } },
  };
  scene.allocated = [claim];
  scene.network("lan");
  scene.network("other");
  await scene.round();
  assert.equal(scene.lists, 0);
  scene.network("lan", { isDeleting: true });
  scene.network("other", { isDeleting: true });
  await scene.round();
  assert.match(scene.conditions("lan").at(-1)!, /InUse=True: .*in use by claim shop\/db$/);
  assert.equal(scene.networks.has("other"), false);
  assert.equal(scene.lists, 1);
  scene.allocated = [];
  for (let n = 0; n < 2; n++) await scene.round();
  assert.equal(scene.networks.has("lan"), true);
  await scene.round();
  assert.equal(scene.networks.has("lan"), false);
  assert.equal(scene.lists, 2);
  await scene.round();
  assert.equal(scene.lists, 2);
});

Deno.test("a Network whose status cannot be written does not keep the others from theirs", async () => {
  const scene = new Scene();
  const { writeStatus } = scene;
  scene.writeStatus = (network, options) =>
    network.name === "a" ? Promise.reject(new Error("refused")) : writeStatus(network, options);
  scene.network("a");
  scene.network("b");
  await scene.round();
  assert.deepEqual(scene.writes, ["status of b"]);
});
