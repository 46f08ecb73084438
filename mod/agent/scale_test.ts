/** Thousands of claims on one node: what all of them cost grows with their number, not with its square. */
import assert from "node:assert/strict";
import process from "node:process";
import { aSandbox, fakePorts } from "../../tests/support/agent_fakes.ts";
import { Agent } from "./agent.ts";
import type { Clock } from "../async/clock.ts";

const driver = "dra.networking";
const never = new AbortController().signal;

/**
 * Real, but in a hurry: seconds last milliseconds, and what runs every few minutes runs every second,
 * so that it does not run more often where the machine is busy.
 */
const clock: Clock = {
  now: () => new Date(),
  elapsed: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(resolve, Math.min(ms, ms < 60_000 ? 20 : 1_000));
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      }, { once: true });
    }),
};

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

/** The whole life of so many claims; the processor's time for it in milliseconds. */
async function life(count: number): Promise<number> {
  const ports = { ...fakePorts(), clock };
  const claims = Array.from({ length: count }, (_, i) => aClaim(i));
  for (const claim of claims) ports.cluster.claims.set(`default/${claim.metadata.name}`, claim);
  const refs = claims.map(({ metadata: { namespace, name, uid } }) => ({ namespace, name, uid }));
  const sandboxes = claims.map((_, i) => aSandbox(`s${i}`, `p${i}`));
  const options = { driver, concurrency: 4, policy: { trustClaims: true } };
  const began = process.cpuUsage();

  let agent = new Agent(ports, options);
  await Promise.all(refs.map((ref) => agent.prepare([ref], never)));
  for (const sandbox of sandboxes) agent.attach(sandbox);
  await Promise.all(
    sandboxes.map((sandbox) => agent.gate(sandbox, { cdiDevices: [], signal: never })),
  );
  assert.equal(ports.cni.attached.size, count);
  await until(() => ports.cluster.applied.size === count);
  await agent.close();

  agent = new Agent(ports, options);
  await agent.load();
  const started = new Set(sandboxes.map(({ id }) => id));
  await agent.reconcile(sandboxes, started);
  const end = new AbortController();
  const upkeep = agent.upkeep({ interval: 1e9, repair: true, gcNetworks: ["lan"] }, end.signal);
  const checked = () => ports.metrics.counted.filter((line) => line === "checked intact").length;
  await until(() => checked() === count);
  end.abort();
  await upkeep;
  assert.equal(agent.counts().attachments.attached, count);
  assert.equal(agent.deviceHealth().length, 1);
  assert.deepEqual(agent.allocatedDevices(), ["cni"]);

  for (const { id } of sandboxes) agent.detach(id);
  const answers = await Promise.all(refs.map((ref) => agent.unprepare([ref], never)));
  assert.ok(answers.every((answer) => [...answer.values()][0]!.error === undefined));
  assert.equal(ports.cni.attached.size + ports.journal.claims.size, 0);
  assert.equal(ports.journal.attachments.size, 0);
  await agent.close();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("what thousands of claims cost is linear in their number", async () => {
  await life(100);
  const few = await life(500);
  const many = await life(4000);
  // Eight times as many: 8 would be linear and 64 quadratic.
  assert.ok(many < 20 * few, `500 claims took ${few} ms of the processor, 4,000 took ${many} ms`);
});

Deno.test("pods of a namespace with many claims that could be theirs are read once each, and none of the claims", async () => {
  const ports = { ...fakePorts(), clock };
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
