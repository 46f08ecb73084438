import assert from "node:assert/strict";
import { FakeClock, FakeLog, settle } from "../../tests/support/agent_fakes.ts";
import { Notifier } from "../async/notifier.ts";
import { type ObjectSource, type Page, ReadError, type WatchChange } from "../cluster/ports.ts";
import { ObjectCache, type ObjectCacheOptions } from "./object_cache.ts";

const never = new AbortController().signal;

/** An API server whose lists and watches a test decides. */
class FakeSource implements ObjectSource {
  readonly asked: string[] = [];
  pages: Page[] | ReadError = [{ items: [], resourceVersion: "1" }];
  readonly #news = new Notifier();
  readonly #queue: (WatchChange | ReadError | "end")[] = [];

  async *list(): AsyncGenerator<Page> {
    this.asked.push("list");
    await Promise.resolve();
    if (this.pages instanceof ReadError) throw this.pages;
    yield* this.pages;
  }

  async *watch(
    _: string,
    { resourceVersion, signal }: { resourceVersion: string; signal: AbortSignal },
  ): AsyncGenerator<WatchChange> {
    this.asked.push(`watch from ${resourceVersion}`);
    yield { type: "begun" };
    for (;;) {
      const next = this.#queue.shift();
      if (next === undefined) await this.#news.next(signal);
      else if (next === "end") return;
      else if (next instanceof ReadError) throw next;
      else yield next;
    }
  }

  async says(...news: readonly (WatchChange | ReadError | "end")[]): Promise<void> {
    this.#queue.push(...news);
    this.#news.notify();
    await settle();
  }
}

function object(name: string, resourceVersion = "1", namespace?: string) {
  return { metadata: { name, resourceVersion, ...(namespace !== undefined && { namespace }) } };
}

const page = (...names: readonly string[]): Page => ({
  items: names.map((name) => object(name)),
  resourceVersion: "1",
});

async function following(
  options: Partial<ObjectCacheOptions<string>>,
  body: (bench: {
    readonly source: FakeSource;
    readonly clock: FakeClock;
    readonly log: FakeLog;
    readonly cache: ObjectCache<string>;
    /** What is known, as text. */
    readonly known: () => Promise<string>;
  }) => Promise<void>,
  pages: Page[] | ReadError = [page("lan")],
): Promise<void> {
  const [source, clock, log, end] = [
    new FakeSource(),
    new FakeClock(),
    new FakeLog(),
    new AbortController(),
  ];
  source.pages = pages;
  const cache = new ObjectCache(source, {
    path: "/apis/dra.networking/v1alpha1/networks",
    parse: (given) => JSON.stringify(given),
    maxAge: 0,
    clock,
    log,
    ...options,
  });
  const known = async () => {
    const found = await cache.look(never);
    if (found.state === "known") return [...found.objects.keys()].toSorted().join(" ");
    return "cause" in found ? `${found.state}: ${found.cause}` : found.state;
  };
  const running = cache.run(end.signal);
  try {
    await body({ source, clock, log, cache, known });
  } finally {
    end.abort();
    await running;
  }
}

Deno.test("ObjectCache keeps up by one list and one watch, whoever looks", () =>
  following({}, async ({ source, known }) => {
    assert.equal(await known(), "lan san");
    await source.says(
      { type: "set", object: object("lan", "5", "shop") },
      { type: "deleted", object: object("san", "6") },
    );
    assert.equal(await known(), "lan shop/lan");
    await source.says({ type: "deleted", object: object("lan", "7", "shop") });
    for (let i = 0; i < 100; i++) assert.equal(await known(), "lan");
    assert.deepEqual(source.asked, ["list", "watch from 1"]);
  }, [page("lan"), page("san")]));

Deno.test("ObjectCache goes on from where a watch ended, and not without a pause", () =>
  following({}, async ({ source, clock, known }) => {
    await settle();
    await source.says({ type: "set", object: object("san", "5") });
    await source.says({ type: "bookmark", resourceVersion: "9" }, "end");
    assert.deepEqual(source.asked, ["list", "watch from 1"]);
    await clock.advance(500);
    assert.deepEqual(source.asked, ["list", "watch from 1", "watch from 9"]);
    assert.equal(await known(), "lan san");
  }));

Deno.test("ObjectCache lists again where a watch has missed something, and serves what it knew", () =>
  following({}, async ({ source, clock, known }) => {
    await settle();
    source.pages = [page("wan")];
    await source.says({ type: "expired" });
    assert.equal(await known(), "lan");
    await clock.advance(500);
    assert.deepEqual(source.asked, ["list", "watch from 1", "list", "watch from 1"]);
    assert.equal(await known(), "wan");
  }));

const away = () => new ReadError("unanswered", "no answer from https://api");

Deno.test("ObjectCache serves without limit while the API server is away, unless it is told one", async (t) => {
  await t.step("no limit", () =>
    following({}, async ({ source, clock, log, known }) => {
      await settle();
      source.pages = away();
      await source.says(away());
      await clock.advance(3_600_000);
      assert.equal(await known(), "lan");
      assert.deepEqual(log.lines.filter((line) => line.startsWith("warn")), [
        "warn cannot follow networks; trying again",
      ]);
      source.pages = [page("wan")];
      await clock.advance(30_000);
      assert.equal(await known(), "wan");
    }));
  await t.step(
    "ten minutes",
    () =>
      following({ maxAge: 600_000 }, async ({ source, clock, known }) => {
        await settle();
        // While the watch lives, nothing grows old.
        await clock.advance(3_600_000);
        source.pages = away();
        await source.says(away());
        await clock.advance(600_000);
        assert.equal(await known(), "lan");
        await clock.advance(5_000);
        assert.equal(
          await known(),
          "unreadable: what the agent knows of networks is 10m5s old, and networkCacheTime allows " +
            "10m0s: no answer from https://api",
        );
        source.pages = [page("lan")];
        await clock.advance(30_000);
        assert.equal(await known(), "lan");
      }),
  );
});

Deno.test("ObjectCache makes whoever looks wait for the first answer alone", async (t) => {
  await t.step(
    "they wait no longer than they want",
    () =>
      following({ lazy: true }, async ({ cache, source }) => {
        await settle();
        assert.deepEqual(source.asked, []);
        const given = new AbortController();
        const looked = cache.look(given.signal);
        given.abort(new Error("too long"));
        await assert.rejects(looked, /too long/);
      }),
  );
  await t.step(
    "lazy, it begins when somebody looks",
    () =>
      following({ lazy: true }, async ({ known, source }) => {
        await settle();
        assert.deepEqual(source.asked, []);
        assert.equal(await known(), "lan");
      }),
  );
  await t.step("the API server is away", () =>
    following({}, async ({ known, source, clock }) => {
      assert.equal(await known(), "unreadable: no answer from https://api");
      source.pages = [page("lan")];
      await clock.advance(1_000);
      assert.equal(await known(), "lan");
    }, away()));
  await t.step("the agent has no right", () =>
    following({}, async ({ known }) => {
      assert.equal(
        await known(),
        "unreadable: the agent has no right to get, list and watch networks: give its user the " +
          "rules of the chart's ClusterRole",
      );
    }, new ReadError("forbidden", "you have no right")));
});

Deno.test("ObjectCache takes a cluster without the kind as it is, and finds the kind when it comes", () =>
  following({}, async ({ known, source, clock, log }) => {
    assert.equal(await known(), "not served");
    await clock.advance(10 * 60_000);
    assert.ok(source.asked.length <= 14, `asked ${source.asked.length} times`);
    assert.deepEqual(log.lines.filter((line) => !line.startsWith("debug")), [
      "info the cluster does not have networks",
    ]);
    source.pages = [page("lan")];
    await clock.advance(60_000);
    assert.equal(await known(), "lan");
  }, new ReadError("not-served", "no such kind")));

Deno.test("ObjectCache forgets what a cluster no longer has the kind of", () =>
  following({}, async ({ known, source, clock }) => {
    await settle();
    source.pages = new ReadError("not-served", "no such kind");
    await source.says({ type: "expired" });
    await clock.advance(500);
    assert.equal(await known(), "not served");
    source.pages = [page()];
    await clock.advance(60_000);
    assert.equal(await known(), "");
  }));
