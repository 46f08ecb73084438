/** Thousands of claims on one node: what all of them cost grows with their number, not with its square. */
import assert from "node:assert/strict";
import { aSandbox, fakePorts } from "../../tests/support/agent_fakes.ts";
import { Agent } from "./agent.ts";
import { countSteps } from "../../tests/support/step_counter.ts";
import type { Clock } from "../async/clock.ts";

const driver = "dra.networking";
const never = new AbortController().signal;
const ofOneCall = () => new AbortController().signal;

/** Jumps to the next moment at which a sleep ends, whenever the test has nothing else to do. */
class JumpingClock implements Clock {
  #now = 0;
  readonly #sleepers = new Map<number, Set<() => void>>();

  now(): Date {
    return new Date(this.#now);
  }

  elapsed(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const at = this.#now + ms;
      const sleepers = this.#sleepers.get(at) ?? new Set();
      this.#sleepers.set(at, sleepers);
      const abort = () => {
        sleepers.delete(wake);
        reject(signal?.reason);
      };
      const wake = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      sleepers.add(wake);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      // All that needs no time to pass goes on first.
      await new Promise((resolve) => setTimeout(resolve, 0));
      const at = Math.min(...this.#sleepers.keys());
      if (holds() || at === Infinity) continue;
      this.#now = at;
      const woken = this.#sleepers.get(at)!;
      this.#sleepers.delete(at);
      for (const wake of woken) wake();
    }
  }
}

function aClaim(i: number) {
  const config = { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "macvlan" }] };
  const opaque = { driver, parameters: { config } };
  const owner = { kind: "Pod", name: `p${i}`, uid: `uid-p${i}`, controller: true };
  return {
    metadata: { namespace: "default", name: `c${i}`, uid: `uid-${i}`, ownerReferences: [owner] },
    status: {
      allocation: {
        devices: {
          results: [{ request: "net", driver, pool: "node", device: "cni" }],
          config: [{ source: "FromClaim", requests: [], opaque }],
        },
      },
      reservedFor: [{ resource: "pods", name: `p${i}`, uid: `uid-p${i}` }],
    },
  };
}

/** The whole life of so many claims. */
async function life(count: number): Promise<void> {
  const clock = new JumpingClock();
  const ports = { ...fakePorts(), clock };
  const claims = Array.from({ length: count }, (_, i) => aClaim(i));
  for (const claim of claims) ports.cluster.claims.set(`default/${claim.metadata.name}`, claim);
  const refs = claims.map(({ metadata: { namespace, name, uid } }) => ({ namespace, name, uid }));
  const sandboxes = claims.map((_, i) => aSandbox(`s${i}`, `p${i}`));
  const options = { driver, concurrency: 4, policy: { trustClaims: true } };

  let agent = new Agent(ports, options);
  await Promise.all(refs.map((ref) => agent.prepare([ref], ofOneCall())));
  for (const sandbox of sandboxes) agent.attach(sandbox);
  await Promise.all(
    sandboxes.map((sandbox) => agent.gate(sandbox, { cdiDevices: [], signal: ofOneCall() })),
  );
  assert.equal(ports.cni.attached.size, count);
  await clock.until(() => ports.cluster.applied.size === count);
  await agent.close();

  agent = new Agent(ports, options);
  await agent.load();
  const started = new Set(sandboxes.map(({ id }) => id));
  await agent.reconcile(sandboxes, started);
  const end = new AbortController();
  const upkeep = agent.upkeep({ interval: 1e9, repair: true, gcNetworks: ["lan"] }, end.signal);
  const checked = () => ports.metrics.counted.filter((line) => line === "checked intact").length;
  await clock.until(() => checked() === count);
  end.abort();
  await upkeep;
  assert.equal(agent.counts().attachments.attached, count);
  assert.equal(agent.deviceHealth().length, 1);
  assert.deepEqual(agent.allocatedDevices(), ["cni"]);

  for (const { id } of sandboxes) agent.detach(id);
  const answers = await Promise.all(refs.map((ref) => agent.unprepare([ref], ofOneCall())));
  assert.ok(answers.every((answer) => [...answer.values()][0]!.error === undefined));
  assert.equal(ports.cni.attached.size + ports.journal.claims.size, 0);
  assert.equal(ports.journal.attachments.size, 0);
  await agent.close();
}

Deno.test("what thousands of claims cost is linear in their number", async () => {
  const few = await countSteps(() => life(500));
  const many = await countSteps(() => life(4000));
  const said = `500 claims took ${few.steps} steps, 4,000 took ${many.steps}`;
  // Eight times as many: 8 would be linear and 64 quadratic.
  assert.ok(many.steps < 9 * few.steps, said);
});

Deno.test("pods of a namespace with many claims that could be theirs are read once each, and none of the claims", async () => {
  const ports = { ...fakePorts(), clock: new JumpingClock() };
  const { cluster } = ports;
  const agent = new Agent(ports, { driver, concurrency: 4, policy: { trustClaims: true } });
  const count = 200;
  for (let i = 0; i < count; i++) {
    const claim = aClaim(i);
    const { ownerReferences: _, ...metadata } = claim.metadata;
    cluster.claims.set(`default/c${i}`, { ...claim, metadata });
    await agent.prepare([{ namespace: "default", name: `c${i}`, uid: `uid-${i}` }], never);
  }
  // The names of a claim's interfaces depend on what its pod shares; the first has nobody to share with.
  assert.equal(cluster.reads, count + count - 1);
  const sandboxes = Array.from({ length: count }, (_, i) => aSandbox(`s${i}`, `p${i}`));
  for (const sandbox of sandboxes) agent.attach(sandbox);
  await Promise.all(
    sandboxes.map((sandbox) => agent.gate(sandbox, { cdiDevices: [], signal: never })),
  );
  assert.equal(cluster.reads, 2 * count);
  await agent.close();
});
