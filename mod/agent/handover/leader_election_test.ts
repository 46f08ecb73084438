import assert from "node:assert/strict";
import { FakeClock, FakeLog } from "../../../tests/support/agent_fakes.ts";
import { LeaderElection } from "./leader_election.ts";
import type { LeadLock } from "../ports.ts";

/** Two locks, as agents of one node see them. */
class Node {
  readonly clock = new FakeClock();
  readonly log = new FakeLog();
  /** Who leads, and who did before. */
  readonly history: string[] = [];
  /** Whether the locks cannot be looked at. */
  lookFails = false;
  #leader: Agent | undefined;
  #next: Agent | undefined;

  agent(name: string, ready: Promise<unknown> = Promise.resolve()): Agent {
    return new Agent(name, { node: this, ready });
  }

  lockOf(agent: Agent): LeadLock {
    return {
      take: () => (this.#leader ??= agent) === agent,
      release: () => {
        if (this.#leader === agent) this.#leader = undefined;
      },
      standNext: () => (this.#next ??= agent) === agent,
      standDown: () => {
        if (this.#next === agent) this.#next = undefined;
      },
      nextStands: () => {
        // A leader could take the look of another agent for a claim.
        assert.equal(this.#leader, agent, "only the agent that leads looks");
        if (this.lookFails) throw new Error("Too many open files (os error 24)");
        return this.#next !== undefined && this.#next !== agent;
      },
    };
  }
}

class Agent {
  readonly #end = new AbortController();
  /** Ends what a term does at its end. */
  finish: () => Promise<void> = () => Promise.resolve();
  readonly done: Promise<void>;
  isReady = false;

  constructor(
    name: string,
    { node, ready }: { readonly node: Node; readonly ready: Promise<unknown> },
  ) {
    const { clock, log } = node;
    void ready.then(() => this.isReady = true);
    this.done = new LeaderElection({ lock: node.lockOf(this), clock, log }).run(async (over) => {
      node.history.push(`${name} leads`);
      await new Promise((resolve) => over.addEventListener("abort", resolve));
      await this.finish();
      node.history.push(`${name} has ended its term`);
    }, { ready: () => this.isReady, signal: this.#end.signal });
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.done;
  }
}

Deno.test("an agent alone leads at once, and until it ends", async () => {
  const node = new Node();
  const agent = node.agent("a");
  await node.clock.advance(60_000);
  assert.deepEqual(node.history, ["a leads"]);
  await agent.end();
  assert.deepEqual(node.history, ["a leads", "a has ended its term"]);
});

Deno.test("a second agent leads when it is ready and the first has ended what it did", async () => {
  const node = new Node();
  const first = node.agent("first");
  const finished = Promise.withResolvers<void>();
  first.finish = () => finished.promise;
  const ready = Promise.withResolvers<void>();
  const second = node.agent("second", ready.promise);
  await node.clock.advance(60_000);
  assert.deepEqual(node.history, ["first leads"], "the second is not ready");
  ready.resolve();
  await node.clock.advance(5_000);
  assert.deepEqual(node.history, ["first leads"], "the first has not ended what it did");
  finished.resolve();
  await node.clock.advance(100);
  assert.deepEqual(node.history, ["first leads", "first has ended its term", "second leads"]);
  await node.clock.advance(60_000);
  assert.equal(node.history.length, 3, "the first does not ask for the lead again");
  await Promise.all([first.end(), second.end()]);
});

Deno.test("an agent that handed over leads again when its successor ends", async () => {
  const node = new Node();
  const first = node.agent("first");
  await node.clock.advance(100);
  const second = node.agent("second");
  await node.clock.advance(5_000);
  assert.equal(node.history.at(-1), "second leads");
  await second.end();
  await node.clock.advance(2_000);
  assert.equal(node.history.at(-1), "first leads");
  await first.end();
});

Deno.test("an agent that never asks for the lead leads when the other is gone", async () => {
  const node = new Node();
  const first = node.agent("first");
  const second = node.agent("second", new Promise(() => {}));
  await node.clock.advance(60_000);
  assert.deepEqual(node.history, ["first leads"]);
  await first.end();
  await node.clock.advance(100);
  assert.equal(node.history.at(-1), "second leads");
  await second.end();
});

Deno.test("of two that are ready one leads after the other; both end well while they stand by", async () => {
  const node = new Node();
  const agents = ["a", "b", "c"].map((name) => node.agent(name));
  await node.clock.advance(10_000);
  const leaders = node.history.filter((line) => line.endsWith("leads"));
  assert.deepEqual(leaders.toSorted(), ["a leads", "b leads", "c leads"]);
  await Promise.all(agents.map((agent) => agent.end()));
});

Deno.test("a term that fails frees the lead and ends the agent", async () => {
  const node = new Node();
  const failing = node.agent("failing");
  failing.finish = () => Promise.reject(new Error("no"));
  const next = node.agent("next");
  const failed = assert.rejects(failing.done, /no/);
  await node.clock.advance(5_000);
  await failed;
  assert.equal(node.history.at(-1), "next leads");
  await next.end();
});

Deno.test("an agent keeps the lead, or stands by, while the locks cannot be looked at", async () => {
  const node = new Node();
  const first = node.agent("first");
  await node.clock.advance(4_000);
  node.lookFails = true;
  const second = node.agent("second");
  await node.clock.advance(2_000);
  assert.deepEqual(node.history, ["first leads"]);
  node.lookFails = false;
  await node.clock.advance(4_000);
  assert.deepEqual(node.history, ["first leads", "first has ended its term", "second leads"]);
  // Nobody waits for a clock that stands.
  node.lookFails = false;
  await Promise.all([first.end(), second.end()]);
});

Deno.test("an agent keeps the lead when its successor ends before the handover", async () => {
  const node = new Node();
  const first = node.agent("first");
  const second = node.agent("second");
  await node.clock.advance(1_000);
  await second.end();
  await node.clock.advance(10_000);
  assert.deepEqual(node.history, ["first leads"]);
  await first.end();
});

Deno.test("an agent keeps the lead when its successor is not ready any more before the handover", async () => {
  const node = new Node();
  const first = node.agent("first");
  const second = node.agent("second");
  await node.clock.advance(1_000);
  second.isReady = false;
  await node.clock.advance(10_000);
  assert.deepEqual(node.history, ["first leads"]);
  second.isReady = true;
  await node.clock.advance(5_000);
  assert.equal(node.history.at(-1), "second leads");
  await Promise.all([first.end(), second.end()]);
});

Deno.test("an agent that is not ready does not take the lead that was freed for another", async () => {
  const node = new Node();
  const first = node.agent("first");
  await node.clock.advance(100);
  const finished = Promise.withResolvers<void>();
  first.finish = () => finished.promise;
  const second = node.agent("second");
  await node.clock.advance(5_000);
  const third = node.agent("third", new Promise(() => {}));
  finished.resolve();
  await node.clock.advance(1_000);
  assert.deepEqual(node.history, ["first leads", "first has ended its term", "second leads"]);
  await Promise.all([first, second, third].map((agent) => agent.end()));
});

Deno.test("an agent that is not ready never makes one that leads hand over: two processes that look all the time", async () => {
  const folder = await Deno.makeTempDir();
  const module = (path: string) => JSON.stringify(import.meta.resolve(path));
  // Each wait takes a millisecond, so that seconds hold as many looks as minutes do otherwise.
  const script = `
    import { LeaderElection } from ${module("./leader_election.ts")};
    import { LeadLocks } from ${module("../../lead/lead_locks.ts")};
    import { systemClock } from ${module("../../async/clock.ts")};
    let waits = 0;
    let handovers = 0;
    const sleep = (_, signal) => {
      waits++;
      return systemClock.sleep(1, signal);
    };
    const say = (message) => {
      if (message.includes("handing over")) handovers++;
    };
    await new LeaderElection({
      lock: new LeadLocks(${JSON.stringify(folder)}),
      clock: { now: systemClock.now, sleep },
      log: { debug: say, info: say, warn: say, error: say },
    }).run(
      (over) => new Promise((resolve) => over.addEventListener("abort", resolve)),
      { ready: () => false, signal: AbortSignal.timeout(3_000) },
    );
    console.log(JSON.stringify({ handovers, lookedOften: waits > 100 }));
  `;
  const args = ["run", "--no-check", "--allow-all"];
  args.push(`data:text/typescript,${encodeURIComponent(script)}`);
  const run = () => new Deno.Command(Deno.execPath(), { args }).output();
  try {
    const outputs = await Promise.all([run(), run()]);
    const told = outputs.map(({ stdout }) => JSON.parse(new TextDecoder().decode(stdout)));
    const expected = { handovers: 0, lookedOften: true };
    assert.deepEqual(told, [expected, expected]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
