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

  constructor(
    name: string,
    { node, ready }: { readonly node: Node; readonly ready: Promise<unknown> },
  ) {
    const { clock, log } = node;
    this.done = new LeaderElection({ lock: node.lockOf(this), clock, log }).run(async (over) => {
      node.history.push(`${name} leads`);
      await new Promise((resolve) => over.addEventListener("abort", resolve));
      await this.finish();
      node.history.push(`${name} has ended its term`);
    }, { ready, signal: this.#end.signal });
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
