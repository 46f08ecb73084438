import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { FakeAddressApi } from "../../tests/support/fake_address_api.ts";
import { AddressBook } from "./address_book.ts";
import { comesBack } from "./kept_addresses.ts";
import { parseAddresses } from "./parse_addresses.ts";
import { AddressApiError } from "./ports.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const signal = new AbortController().signal;
const POOLS = parseAddresses({ pools: [{ subnet: "10.38.0.0/24" }], keepFor: "10m" }, "addresses");
const KEEP_MS = 600_000;

/** Two nodes that share a network. */
async function withBooks(
  body: (bench: {
    store: FakeAddressApi;
    clock: FakeClock;
    books: Record<"a" | "b", AddressBook>;
  }) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const store = new FakeAddressApi();
  const book = (node: string) =>
    new AddressBook({
      api: store,
      node,
      clock,
      log: quiet,
      metrics: { taken() {}, conflicted() {}, held() {}, requested() {} },
      events: { warn() {} },
    });
  const books = { a: book("a"), b: book("b") };
  const over = new AbortController();
  await using _a = books.a.lead(() => undefined, over.signal);
  await using _b = books.b.lead(() => undefined, over.signal);
  const moving = setInterval(() => void clock.advance(100), 1);
  try {
    await body({ store, clock, books });
  } finally {
    clearInterval(moving);
  }
}

function wanted(pod: string, uid: string, { namespace = "shop", fixed = [] as string[] } = {}) {
  const claim = { namespace, name: `claim-${pod}`, uid: `claim-${uid}` };
  const owner = {
    claim,
    pod: { namespace, name: pod, uid },
    containerID: `sandbox-${uid}`,
    ifName: "net1",
  };
  return { network: "lan", pools: POOLS, owner, fixed };
}

const keyOf = ({ owner: { containerID, ifName } }: ReturnType<typeof wanted>) => ({
  network: "lan",
  containerID,
  ifName,
});

Deno.test("pods of StatefulSets come back, others do not", () => {
  const names = ["db-0", "db-12", "web-7d4b9c6f5-x2x9z", "db", "db-01", "db-0a"];
  assert.deepEqual(names.filter((name) => comesBack({ namespace: "shop", name })), [
    "db-0",
    "db-12",
  ]);
});

Deno.test("an address stays with the name of its pod, which takes it again on another node", () =>
  withBooks(async ({ store, books }) => {
    const first = wanted("db-0", "1");
    const [address] = await books.a.take(first, signal);
    await books.a.giveBack(keyOf(first), { keepMs: KEEP_MS, signal });
    const [kept] = store.all;
    assert.ok(kept!.keptUntil !== undefined);
    const [others] = await books.b.take(wanted("db-1", "2"), signal);
    assert.notEqual(others!.address, address!.address);
    const again = wanted("db-0", "3");
    const [taken] = await books.b.take(again, signal);
    assert.equal(taken!.address, address!.address);
    assert.deepEqual([taken!.owner.node, taken!.owner.pod.uid], ["b", "3"]);
    const stored = store.all.find((each) => each.address === address!.address)!;
    assert.equal(stored.keptUntil, undefined);
    assert.equal(stored.uid, kept!.uid);
  }));

Deno.test("on the same node, too, and by the same sandbox after an ADD that failed", () =>
  withBooks(async ({ store, books }) => {
    const first = wanted("db-0", "1");
    const [address] = await books.a.take(first, signal);
    for (const next of [first, wanted("db-0", "2")]) {
      await books.a.giveBack(keyOf(first), { keepMs: KEEP_MS, signal });
      const [taken] = await books.a.take(next, signal);
      assert.equal(taken!.address, address!.address);
      assert.deepEqual(store.all.map(({ keptUntil }) => keptUntil), [undefined]);
    }
  }));

Deno.test("a pod of that name in another namespace does not get it, nor whoever names it", () =>
  withBooks(async ({ books }) => {
    const first = wanted("db-0", "1");
    const [address] = await books.a.take(first, signal);
    await books.a.giveBack(keyOf(first), { keepMs: KEEP_MS, signal });
    const [other] = await books.b.take(wanted("db-0", "2", { namespace: "bank" }), signal);
    assert.notEqual(other!.address, address!.address);
    const fixed = wanted("web", "3", { fixed: [address!.address] });
    await assert.rejects(
      books.b.take(fixed, signal),
      /is taken by pod shop\/db-0, for whose name it is kept until 2026-01-01T00:1\S+: name another address in the claim, or delete the object if no pod has the address \(kubectl delete networkaddress lan\.10-38-0-\d+\)$/,
    );
  }));

Deno.test("a kept address that the Network no longer gives out is not taken again", () =>
  withBooks(async ({ store, books }) => {
    const first = wanted("db-0", "1");
    const [address] = await books.a.take(first, signal);
    await books.a.giveBack(keyOf(first), { keepMs: KEEP_MS, signal });
    const pools = [{ subnet: "10.38.0.0/24", exclude: [address!.address] }];
    const edited = { ...wanted("db-0", "2"), pools: parseAddresses({ pools }, "addresses") };
    const [other] = await books.b.take(edited, signal);
    assert.notEqual(other!.address, address!.address);
    assert.equal(store.all.length, 2);
  }));

Deno.test("an address is not freed that the next pod has when the answer to its keeping is lost", () =>
  withBooks(async ({ store, books }) => {
    const [first, next] = [wanted("db-0", "1"), wanted("db-0", "2")];
    const [address] = await books.a.take(first, signal);
    store.after = async (request) => {
      if (request !== "update") return;
      store.after = () => {};
      const [taken] = await books.b.take(next, signal);
      assert.equal(taken!.address, address!.address);
      throw new AddressApiError("no answer", "unknown");
    };
    await books.a.giveBack(keyOf(first), { keepMs: KEEP_MS, signal });
    assert.deepEqual(store.all.map(({ owner }) => owner.pod.uid), ["2"]);
    assert.deepEqual(books.a.of(keyOf(first)), []);
  }));

Deno.test("of two pods of one name at the same time, one has the kept address", () =>
  withBooks(async ({ store, books }) => {
    const first = wanted("db-0", "1");
    const [address] = await books.a.take(first, signal);
    await books.a.giveBack(keyOf(first), { keepMs: KEEP_MS, signal });
    const taken = await Promise.all([
      books.a.take(wanted("db-0", "2"), signal),
      books.b.take(wanted("db-0", "3"), signal),
    ]);
    const addresses = taken.map(([each]) => each!.address);
    assert.equal(new Set(addresses).size, 2);
    assert.ok(addresses.includes(address!.address));
    assert.equal(store.all.length, 2);
  }));

Deno.test("without keepFor, and for pods that do not come back, it is given back", () =>
  withBooks(async ({ store, books }) => {
    const [db, web] = [wanted("db-0", "1"), wanted("web-x2x9z", "2")];
    for (const each of [db, web]) await books.a.take(each, signal);
    await books.a.giveBack(keyOf(db), { signal });
    await books.a.giveBack(keyOf(web), { keepMs: KEEP_MS, signal });
    assert.deepEqual(store.all, []);
  }));
