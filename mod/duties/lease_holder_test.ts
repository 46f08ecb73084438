import assert from "node:assert/strict";
import { FakeClock, settle } from "../../tests/support/agent_fakes.ts";
import { LeaseHolder } from "./lease_holder.ts";
import { isFree, look } from "./lease_terms.ts";
import type { Lease, LeaseApi, ReadLease } from "./ports.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** The Lease of an API server; each agent reaches it unless it is cut off. */
class FakeLease {
  stored: ReadLease | undefined;
  #version = 0;
  readonly cutOff = new Set<string>();
  /** Agents whose writes are done, but whose answers are lost. */
  readonly unanswered = new Set<string>();

  of(agent: string): LeaseApi {
    const reach = () => {
      if (this.cutOff.has(agent)) throw new Error("no answer");
    };
    return {
      read: () => Promise.resolve().then(reach).then(() => this.stored),
      write: (lease, { over }) =>
        Promise.resolve().then(reach).then(() => {
          if (over?.resourceVersion !== this.stored?.resourceVersion) return "conflict" as const;
          this.put(lease);
          if (this.unanswered.has(agent)) throw new Error("no answer");
          return this.stored!;
        }),
    };
  }

  put(lease: Lease): void {
    this.stored = { ...lease, resourceVersion: `${++this.#version}` };
  }
}

interface Agent {
  readonly name: string;
  readonly clock: FakeClock;
  readonly stop: () => Promise<void>;
  readonly acts: () => boolean;
}

function start(lease: FakeLease, name: string): Agent {
  const clock = new FakeClock();
  const end = new AbortController();
  let acting = 0;
  const holder = new LeaseHolder({
    api: lease.of(name),
    me: name,
    clock,
    log: quiet,
    random: () => 0.5,
  });
  const running = holder.run(async (signal) => {
    acting++;
    await clock.sleep(1e9, signal).catch(() => {});
    acting--;
  }, end.signal);
  return {
    name,
    clock,
    acts: () => acting > 0,
    stop: () => {
      end.abort(new Error("stop"));
      return running;
    },
  };
}

const STEP = 5_000;

/** Time passes for all, by five seconds; calls `each` after each. */
async function pass(ms: number, agents: readonly Agent[], each = () => {}): Promise<void> {
  for (let left = ms; left > 0; left -= STEP) {
    for (const { clock } of agents) await clock.advance(Math.min(STEP, left));
    each();
  }
}

async function withAgents(
  names: readonly string[],
  body: (bench: { lease: FakeLease; agents: Agent[] }) => Promise<void>,
): Promise<void> {
  const lease = new FakeLease();
  const agents = names.map((name) => start(lease, name));
  try {
    await body({ lease, agents });
  } finally {
    for (const agent of agents) await agent.stop();
  }
}

const acting = (agents: readonly Agent[]) =>
  agents.filter((agent) => agent.acts()).map(({ name }) => name);

Deno.test("a Lease that somebody has given an endless duration is free ten minutes after its last renewal", () => {
  const lease = {
    holder: "gone",
    renewTime: "2026-01-01T00:00:00.000000Z",
    duration: 1_000 * (2 ** 31 - 1),
    transitions: 0,
  };
  const seen = look(lease, { before: undefined, now: 0 });
  assert.ok(!isFree(lease, { seen, now: 599_999 }));
  assert.ok(isFree(lease, { seen, now: 600_000 }));
});

Deno.test("one agent holds the Lease, and goes on holding it", () =>
  withAgents(["a", "b", "c"], async ({ lease, agents }) => {
    await pass(10_000, agents);
    assert.equal(acting(agents).length, 1);
    const [first] = acting(agents);
    await pass(200_000, agents, () => assert.deepEqual(acting(agents), [first]));
    assert.equal(lease.stored?.holder, first);
    assert.equal(lease.stored?.transitions, 0);
  }));

Deno.test("a holder that stops releases the Lease: the next one does not wait until it has run out", () =>
  withAgents(["a", "b"], async ({ lease, agents }) => {
    await pass(10_000, agents);
    const [first] = acting(agents);
    await agents.find(({ name }) => name === first)!.stop();
    assert.equal(lease.stored?.holder, "");
    const rest = agents.filter(({ name }) => name !== first);
    await pass(61_000, rest);
    assert.deepEqual(acting(rest), rest.map(({ name }) => name));
    assert.equal(lease.stored?.transitions, 1);
  }));

Deno.test("a holder that is cut off stops before another one begins, and does not come back", () =>
  withAgents(["a", "b"], async ({ lease, agents }) => {
    await pass(10_000, agents);
    const [first] = acting(agents);
    lease.cutOff.add(first!);
    await pass(240_000, agents, () => assert.ok(acting(agents).length <= 1));
    const other = agents.find(({ name }) => name !== first)!.name;
    assert.deepEqual(acting(agents), [other]);
    lease.cutOff.clear();
    await pass(240_000, agents, () => assert.deepEqual(acting(agents), [other]));
  }));

Deno.test("clocks that differ by a day, and are set back, change nothing", () =>
  withAgents(["a", "b"], async ({ agents }) => {
    agents[0]!.clock.set(86_400_000);
    await pass(10_000, agents);
    const [first] = acting(agents);
    let hour = 0;
    await pass(200_000, agents, () => {
      if (hour++ % 12 === 0) agents[hour % 2]!.clock.set(-3_200_000);
      assert.deepEqual(acting(agents), [first]);
    });
  }));

Deno.test("a Lease that is renewed only now and then is not taken, however old its renewTime is", () =>
  withAgents(["a"], async ({ lease, agents }) => {
    const foreign = { holder: "z", duration: 60_000, transitions: 7 };
    for (let n = 0; n < 10; n++) {
      lease.put({ ...foreign, renewTime: `1999-01-01T00:00:0${n}.000000Z` });
      await pass(50_000, agents, () => assert.deepEqual(acting(agents), []));
    }
    await pass(130_000, agents);
    assert.deepEqual(acting(agents), ["a"]);
    assert.equal(lease.stored?.transitions, 8);
  }));

Deno.test("a holder whose answer is lost after the write was done goes on, and counts from its last answer", () =>
  withAgents(["a", "b"], async ({ lease, agents }) => {
    await pass(10_000, agents);
    const [first] = acting(agents);
    lease.unanswered.add(first!);
    await pass(20_000, agents, () => assert.deepEqual(acting(agents), [first]));
    lease.unanswered.clear();
    await pass(120_000, agents, () => assert.deepEqual(acting(agents), [first]));
    lease.unanswered.add(first!);
    // Each write is done, so that nobody else takes it; but the holder cannot know that.
    await pass(59_000, agents);
    assert.ok(!acting(agents).includes(first!));
  }));

Deno.test("a Lease that is deleted by hand is made again; one that another holds ends the term", () =>
  withAgents(["a"], async ({ lease, agents }) => {
    await pass(40_000, agents);
    lease.stored = undefined;
    await pass(40_000, agents, () => assert.deepEqual(acting(agents), ["a"]));
    assert.equal(lease.stored!.holder, "a");
    lease.put({ ...lease.stored!, holder: "z" });
    await pass(20_000, agents);
    assert.deepEqual(acting(agents), []);
    await settle();
  }));
