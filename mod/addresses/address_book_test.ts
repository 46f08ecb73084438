import assert from "node:assert/strict";
import { FakeClock, FakeEvents, FakeLog, settle } from "../../tests/support/agent_fakes.ts";
import { FakeAddressApi } from "../../tests/support/fake_address_api.ts";
import { AddressBook } from "./address_book.ts";
import type { AddressUsers } from "./address_upkeep.ts";
import type { NetworkAddress } from "./address_object.ts";
import type { KeptAttachment } from "./kept_attachments.ts";
import { parseAddresses } from "./parse_addresses.ts";
import type { NetworkAddresses } from "./pools.ts";
import { AddressApiError } from "./ports.ts";

const never = new AbortController().signal;
const SMALL = parseAddresses({
  pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.16-10.38.0.18"] }],
}, "addresses");
const DUAL = parseAddresses({
  pools: [{ subnet: "10.38.0.0/24" }, { subnet: "fd00:38::/64" }],
}, "addresses");

function ownerOf(pod: string): KeptAttachment["owner"] {
  const named = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });
  return { claim: named(`c-${pod}`), pod: named(pod), containerID: `s-${pod}`, ifName: "net1" };
}

function keyOf(pod: string) {
  return { network: "lan", containerID: `s-${pod}`, ifName: "net1" };
}

/** One node's agent, which leads until it is ended. */
class Node {
  readonly clock: FakeClock;
  readonly log = new FakeLog();
  readonly events = new FakeEvents();
  readonly counted: string[] = [];
  readonly book: AddressBook;
  /** What uses addresses; undefined while the runtime is away. */
  users: AddressUsers | undefined = { attachments: [], lives: () => true };
  readonly #over = new AbortController();
  readonly #term: AsyncDisposable;

  constructor(api: FakeAddressApi, name = "a", clock = new FakeClock()) {
    this.clock = clock;
    this.book = new AddressBook({
      api,
      node: name,
      clock,
      log: this.log,
      events: this.events,
      metrics: {
        taken: (result) => void this.counted.push(result),
        conflicted: () => void this.counted.push("conflict"),
        held() {},
        requested() {},
      },
    });
    this.#term = this.book.lead(() => this.users, this.#over.signal);
  }

  async take(pod: string, pools: NetworkAddresses = SMALL, fixed: string[] = []) {
    const wanted = { network: "lan", pools, owner: ownerOf(pod), fixed };
    return (await this.book.take(wanted, never)).map(({ address }) => address);
  }

  /** The pods that are attached, with the addresses that their plugins reported. */
  attached(pods: Readonly<Record<string, readonly string[]>>): void {
    this.users = {
      attachments: Object.entries(pods).map(([pod, addresses]) => ({
        network: { name: "lan", cniVersion: "1.0.0", plugins: [], addresses: SMALL },
        owner: ownerOf(pod),
        result: {
          cniVersion: "1.0.0",
          ips: addresses.map((address) => ({ address: `${address}/24` })),
        },
      })),
      lives: (id) => id.slice("s-".length) in pods,
    };
  }

  stop(): void {
    this.#over.abort(new Error("another agent leads"));
  }

  async end(): Promise<void> {
    this.stop();
    await this.#term[Symbol.asyncDispose]();
  }
}

async function withNode(body: (node: Node, api: FakeAddressApi) => Promise<void>): Promise<void> {
  const api = new FakeAddressApi();
  const node = new Node(api);
  try {
    await settle();
    await body(node, api);
  } finally {
    await node.end();
  }
}

function unknown(): AddressApiError {
  return new AddressApiError("no answer", "unknown");
}

Deno.test("AddressBook takes one address of each family, and answers the same when asked again", () =>
  withNode(async (node, api) => {
    const first = await node.take("p", DUAL);
    assert.equal(first.length, 2);
    assert.match(first.join(" "), /^10\.38\.0\.\d+ fd00:38::/);
    assert.deepEqual(await node.take("p", DUAL), first);
    assert.equal(api.objects.size, 2);
    await node.book.giveBack(keyOf("p"), { signal: never });
    assert.equal(api.objects.size, 0);
  }));

Deno.test("AddressBook needs one create for each address, and one list for a network", () =>
  withNode(async (node, api) => {
    for (const pod of ["p", "q", "r"]) await node.take(pod);
    const creates = api.asked.filter((each) => each.startsWith("create"));
    assert.equal(creates.length, 3);
    assert.deepEqual(api.asked.filter((each) => !each.startsWith("create")), ["list", "list"]);
  }));

Deno.test("AddressBook gives no two attachments of a node one address, however many ask at once", () =>
  withNode(async (node, api) => {
    const taken = await Promise.all(["p", "q", "r"].map((pod) => node.take(pod)));
    assert.equal(new Set(taken.flat()).size, 3);
    assert.equal(api.objects.size, 3);
    assert.ok(!node.counted.includes("conflict"));
  }));

Deno.test("AddressBook says that a network is exhausted, and takes what becomes free", () =>
  withNode(async (node) => {
    for (const pod of ["p", "q", "r"]) await node.take(pod);
    await assert.rejects(
      node.take("s"),
      /^Error: network lan has no free IPv4 address: all 3 of 10\.38\.0\.0\/24 are taken or reserved \(kubectl get networkaddresses\): add a pool to the Network, or delete pods that use it$/,
    );
    assert.equal(node.counted.at(-1), "exhausted");
    await node.book.giveBack(keyOf("q"), { signal: never });
    assert.equal((await node.take("s")).length, 1);
  }));

Deno.test("AddressBook tries the next address where another node was first, and its watch was late", async () => {
  const api = new FakeAddressApi();
  const clock = new FakeClock();
  const nodes = ["a", "b"].map((name) => new Node(api, name, clock));
  await settle();
  await Promise.all(nodes.map((node, i) => node.take(`warm${i}`)));
  api.isSilent = true;
  const taking = Promise.allSettled(nodes.map((node, i) => node.take(`p${i}`)));
  await clock.advance(1_000);
  const taken = await taking;
  assert.deepEqual(taken.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  assert.equal(api.objects.size, 3);
  await Promise.all(nodes.map((node) => node.end()));
});

Deno.test("AddressBook waits for its watch where another node was quicker, and meets it only once", () =>
  withNode(async (node, api) => {
    await node.take("p");
    await node.book.giveBack(keyOf("p"), { signal: never });
    const { promise: late, resolve: tell } = Promise.withResolvers<void>();
    api.lag = () => late;
    for (const [i, address] of ["10.38.0.17", "10.38.0.16"].entries()) {
      api.put({ network: "lan", address, owner: { ...ownerOf(`other${i}`), node: "b" } });
    }
    const taking = node.take("q");
    await settle();
    assert.deepEqual(api.asked.slice(-1), ["create 10.38.0.16"]);
    tell();
    assert.deepEqual(await taking, ["10.38.0.18"]);
    assert.deepEqual(node.counted, ["ok", "conflict", "ok"]);
  }));

Deno.test("AddressBook takes the address whose create was done before it timed out", () =>
  withNode(async (node, api) => {
    let left = 2;
    api.after = (request) => {
      if (request === "create" && left-- > 0) throw unknown();
    };
    const taking = node.take("p");
    await node.clock.advance(2_000);
    const [address] = await taking;
    assert.deepEqual([...api.objects.values()].map((each) => each.address), [address]);
  }));

Deno.test("AddressBook gives back what it has asked for without an answer", () =>
  withNode(async (node, api) => {
    api.after = (request) => {
      if (request === "create") throw unknown();
    };
    const taking = assert.rejects(node.take("p"), /cannot take address .* no answer/);
    await node.clock.advance(20_000);
    await taking;
    assert.equal(api.objects.size, 1);
    await node.book.giveBack(keyOf("p"), { signal: never });
    assert.equal(api.objects.size, 0);
  }));

Deno.test("AddressBook fails at once where the API server refuses, and keeps nothing in mind", () =>
  withNode(async (node, api) => {
    api.before = (request) => {
      if (request === "create") throw new AddressApiError("no right", "refused");
    };
    await assert.rejects(node.take("p"), /cannot take address .* of network lan: no right/);
    assert.deepEqual(node.book.of(keyOf("p")), []);
  }));

Deno.test("AddressBook says which address it cannot give back, and does it when asked again", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    api.before = (request) => {
      if (request === "delete") throw unknown();
    };
    const giving = assert.rejects(
      node.book.giveBack(keyOf("p"), { signal: never }),
      new RegExp(`cannot give back address ${address} of network lan: no answer`),
    );
    await node.clock.advance(20_000);
    await giving;
    api.before = () => {};
    await node.book.giveBack(keyOf("p"), { signal: never });
    assert.equal(api.objects.size, 0);
  }));

Deno.test("AddressBook hurries when the agent stops", () =>
  withNode(async (node, api) => {
    api.before = (request) => {
      if (request === "create") throw unknown();
    };
    const taking = assert.rejects(node.take("p"), /no answer/);
    await node.clock.advance(1_000);
    node.stop();
    await node.clock.advance(4_000);
    await taking;
  }));

Deno.test("AddressBook waits no longer than its limit while the API server has not listed", async () => {
  const api = new FakeAddressApi();
  api.before = () => new Promise(() => {});
  const node = new Node(api);
  await settle();
  const taking = assert.rejects(
    node.take("p"),
    /cannot tell which addresses this node has: the API/,
  );
  await node.clock.advance(15_000);
  await taking;
});

Deno.test("AddressBook takes a fixed address, and names the pod that has it", () =>
  withNode(async (node, api) => {
    assert.deepEqual(await node.take("p", SMALL, ["10.38.0.99"]), ["10.38.0.99"]);
    await assert.rejects(
      node.take("q", SMALL, ["10.38.0.99"]),
      /address 10\.38\.0\.99 of network lan is taken by pod default\/p on node a: name another/,
    );
    await assert.rejects(node.take("q", SMALL, ["10.39.0.1"]), /10\.39\.0\.1 is in no subnet/);
    // The one that has it has it still.
    assert.equal(node.book.of(keyOf("p")).length, 1);
    await node.book.giveBack(keyOf("p"), { signal: never });
    assert.equal(api.objects.size, 0);
  }));

Deno.test("AddressBook removes no address that the next pod has since it was read", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    // The watch tells nothing of a change in place: the UID is the same.
    api.isSilent = true;
    const [over] = api.all;
    const next = { network: "lan", address: address!, owner: { ...ownerOf("next"), node: "b" } };
    await api.update(next, { over: over! });
    await node.book.giveBack(keyOf("p"), { signal: never });
    assert.deepEqual(api.all.map(({ owner }) => owner.pod.name), ["next"]);
    assert.deepEqual(node.book.of(keyOf("p")), []);
  }));

Deno.test("AddressBook gives back an address whose object someone has written since it was read", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    api.isSilent = true;
    api.touch(api.all[0]!);
    const before = api.asked.length;
    await node.book.giveBack(keyOf("p"), { signal: never });
    assert.equal(api.objects.size, 0);
    const asked = ["delete", "get", "delete"].map((verb) => `${verb} ${address}`);
    assert.deepEqual(api.asked.slice(before), asked);
  }));

Deno.test("AddressBook collects what no attachment has, and only where the sandbox has ended", () =>
  withNode(async (node, api) => {
    const [kept] = await node.take("kept");
    await node.take("left");
    await node.take("living");
    node.attached({ kept: [kept!] });
    const { users } = node;
    node.users = { ...users!, lives: (id) => id === "s-kept" || id === "s-living" };
    await node.clock.advance(61_000);
    const pods = [...api.objects.values()].map(({ owner }) => owner.pod.name);
    assert.deepEqual(pods, ["kept", "living"]);
  }));

Deno.test("AddressBook collects nothing while the runtime has not told which sandboxes live", () =>
  withNode(async (node, api) => {
    await node.take("p");
    node.users = undefined;
    await node.clock.advance(300_000);
    assert.equal(api.objects.size, 1);
  }));

Deno.test("AddressBook creates again what someone deleted under a living pod", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    node.attached({ p: [address!] });
    api.deleteByHand([...api.objects.values()][0]!);
    await node.clock.advance(61_000);
    assert.deepEqual([...api.objects.values()].map(({ owner }) => owner.pod.name), ["p"]);
    assert.match(node.log.lines.join("\n"), /warn created the NetworkAddress of 10\.38\.0\.1\d/);
  }));

Deno.test("AddressBook tells a pod whose address someone else has taken meanwhile", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    node.attached({ p: [address!] });
    const object = [...api.objects.values()][0]!;
    api.deleteByHand(object);
    await api.create({ ...object, owner: { ...ownerOf("thief"), node: "b" } });
    await node.clock.advance(61_000);
    assert.match(
      node.events.lines.join("\n"),
      new RegExp(
        `^NetworkAddressConflict Pod/p: address ${address} of network lan is also taken by ` +
          "pod default/thief on node b: someone deleted",
      ),
    );
  }));

Deno.test("AddressBook takes up what an earlier agent of the node had, and not what it gave back", async () => {
  const api = new FakeAddressApi();
  const before = new Node(api);
  await settle();
  const [kept] = await before.take("p");
  await before.take("q");
  await before.book.giveBack(keyOf("q"), { signal: never });
  await before.end();
  const next = new Node(api);
  await settle();
  assert.deepEqual(await next.take("p"), [kept]);
  assert.equal(api.objects.size, 1);
  await next.end();
});

Deno.test("AddressBook forgets none of its own when a watch has gaps and all is listed again", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    api.isSilent = true;
    await node.take("q");
    api.relist();
    await settle();
    api.isSilent = false;
    assert.deepEqual(node.book.of(keyOf("p")).map((each) => each.address), [address]);
    assert.equal(node.book.of(keyOf("q")).length, 1);
  }));

Deno.test("AddressBook does not follow a network from which nothing was taken for ten minutes", () =>
  withNode(async (node, api) => {
    const [address] = await node.take("p");
    node.attached({ p: [address!] });
    await node.clock.advance(12 * 60_000);
    const before = api.asked.length;
    await node.take("q");
    assert.deepEqual(api.asked.slice(before).map((each) => each.split(" ")[0]), ["list", "create"]);
  }));

/** Where a process can die: before a request does anything, or after it, without an answer. */
const DEATHS = [...Array(8).keys()].flatMap((request) => [
  { request, at: "before" as const },
  { request, at: "after" as const },
]);

Deno.test("AddressBook leaks nothing and gives nothing twice, wherever its agent dies", async (t) => {
  for (const { request, at } of DEATHS) {
    await t.step(`${at} request ${request}`, async () => {
      const api = new FakeAddressApi();
      const dying = new Node(api);
      const death = () => {
        const dies = api.asked.length > request;
        return dies ? new Promise<void>(() => {}) : undefined;
      };
      if (at === "before") api.before = death;
      else api.after = death;
      await settle();
      // What goes on in a process that is dead is not waited for.
      const living = (async () => {
        await dying.take("p", DUAL);
        await dying.take("q", DUAL);
        await dying.book.giveBack(keyOf("p"), { signal: never });
      })();
      living.catch(() => {});
      await settle();
      api.before = api.after = () => {};
      const next = new Node(api);
      await settle();
      // Its records name both, and whichever ADD was under way is done again.
      const [p, q] = [await next.take("p", DUAL), await next.take("q", DUAL)];
      assert.equal(new Set([...p, ...q]).size, 4);
      const holders = new Map<string, string>();
      for (const each of api.objects.values()) holders.set(each.address, each.owner.pod.name);
      for (const address of p) assert.equal(holders.get(address), "p");
      for (const address of q) assert.equal(holders.get(address), "q");
      await next.book.giveBack(keyOf("p"), { signal: never });
      await next.book.giveBack(keyOf("q"), { signal: never });
      assert.deepEqual([...api.objects.values()].map(({ address }: NetworkAddress) => address), []);
      await next.end();
    });
  }
});

Deno.test("an address that cannot be given back keeps no others from that, and no pod from its own", () =>
  withNode(async (node, api) => {
    const [[p], , [r]] = [await node.take("p"), await node.take("q"), await node.take("r")];
    api.deleteByHand([...api.objects.values()].find(({ address }) => address === r)!);
    api.before = (request, address) => {
      if (request === "delete" && address === p) throw new AddressApiError("no", "refused");
    };
    node.attached({ r: [r!] });
    await node.clock.advance(60_000);
    assert.deepEqual([...api.objects.values()].map(({ address }) => address).toSorted(), [p, r]);
  }));

Deno.test("an address is not created again for a pod that ended while others were given back", () =>
  withNode(async (node, api) => {
    const [, [r]] = [await node.take("p"), await node.take("r")];
    node.attached({ r: [r!] });
    api.before = async (request, address) => {
      if (request !== "delete" || address === r) return;
      node.attached({});
      await node.book.giveBack(keyOf("r"), { signal: never });
    };
    await node.clock.advance(60_000);
    assert.equal(api.objects.size, 0);
    assert.equal(api.asked.filter((each) => each === `create ${r}`).length, 1);
  }));

Deno.test("an address that could not be created again is asked for at each look, until it is there", () =>
  withNode(async (node, api) => {
    const [p] = await node.take("p");
    node.attached({ p: [p!] });
    api.deleteByHand([...api.objects.values()][0]!);
    let isDown = true;
    api.before = (request) => {
      if (request === "create" && isDown) throw unknown();
    };
    await node.clock.advance(80_000);
    assert.equal(api.objects.size, 0);
    isDown = false;
    await node.clock.advance(80_000);
    assert.deepEqual([...api.objects.values()].map(({ address }) => address), [p]);
  }));
