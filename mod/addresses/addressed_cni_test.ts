import assert from "node:assert/strict";
import { FakeCni, settle } from "../../tests/support/agent_fakes.ts";
import type { CniResult, RuntimeConfig } from "../agent/model.ts";
import type { NetworkList } from "../claim/network_list.ts";
import { AddressedCni } from "./addressed_cni.ts";
import { parseAddresses } from "./parse_addresses.ts";

const never = new AbortController().signal;
const named = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });
const runtime: RuntimeConfig = {
  containerID: "s1",
  netns: "/run/netns/s1",
  ifName: "net1",
  args: [],
  capabilityArgs: {},
  claim: named("c"),
  pod: named("p"),
};
const addresses = parseAddresses({
  pools: [{ subnet: "10.38.0.0/24", gateway: "10.38.0.1" }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { nameservers: ["10.38.0.1"] },
}, "addresses");
const lan: NetworkList = {
  cniVersion: "1.0.0",
  name: "lan",
  plugins: [{ type: "macvlan" }, { type: "tuning" }],
  addresses,
};
const result: CniResult = { cniVersion: "1.0.0", ips: [{ address: "10.38.0.7/24" }] };
const IPAM = {
  type: "static",
  addresses: [{ address: "10.38.0.7/24", gateway: "10.38.0.1" }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { nameservers: ["10.38.0.1"] },
};

/** What was done, in order, and the networks and arguments that plugins were given. */
function bench() {
  const done: string[] = [];
  const given: { network: NetworkList; runtime?: RuntimeConfig }[] = [];
  const inner = new FakeCni();
  inner.during = ({ command }) => void done.push(command);
  for (const command of ["add", "del", "check"] as const) {
    const run = inner[command].bind(inner) as (...args: unknown[]) => unknown;
    Object.assign(inner, {
      [command]: (network: NetworkList, runtime: RuntimeConfig, ...more: unknown[]) => {
        given.push({ network, runtime });
        return run(network, runtime, ...more);
      },
    });
  }
  inner.verifying = (network) => void given.push({ network });
  const owner = { ...runtime, node: "a" };
  const book = {
    fixed: [] as readonly string[],
    held: [] as readonly string[],
    take: ({ fixed }: { readonly fixed: readonly string[] }) => {
      done.push("take");
      book.fixed = fixed;
      return Promise.resolve([{ network: "lan", address: "10.38.0.7", owner }]);
    },
    giveBack: () => {
      done.push("give back");
      return Promise.resolve();
    },
    of: () => book.held.map((address) => ({ network: "lan", address, owner })),
  };
  return { done, given, inner, book, cni: new AddressedCni(inner, book) };
}

Deno.test("AddressedCni takes addresses before ADD and gives them back after DEL", async () => {
  const { cni, done, given } = bench();
  await cni.add(lan, runtime, { signal: never });
  await cni.del(lan, runtime, result, never);
  assert.deepEqual(done, ["take", "ADD", "DEL", "give back"]);
  const expected = {
    cniVersion: "1.0.0",
    name: "lan",
    plugins: [{ type: "macvlan", ipam: IPAM }, { type: "tuning" }],
  };
  assert.deepEqual(given.map(({ network }) => network), [expected, expected]);
});

Deno.test("AddressedCni has the addresses before ADD begins, and gives them back where it does not", async () => {
  const { cni, book, done } = bench();
  const begins = () => {
    done.push("begins");
    return Promise.resolve();
  };
  await cni.add(lan, runtime, { begins, signal: never });
  assert.deepEqual(done.splice(0), ["take", "begins", "ADD"]);
  book.held = ["10.38.0.7"];
  const taken = () => Promise.reject(new Error("the name is taken"));
  await assert.rejects(cni.add(lan, runtime, { begins: taken, signal: never }), /name is taken/);
  assert.deepEqual(done.splice(0), ["take", "give back"]);
  // One of two families: the other attachment of the last address may wait for what this one has.
  book.take = () => Promise.reject(new Error("no free IPv6 address"));
  await assert.rejects(cni.add(lan, runtime, { begins, signal: never }), /no free IPv6 address/);
  assert.deepEqual(done.splice(0), ["give back"]);
  book.held = [];
  await assert.rejects(cni.add(lan, runtime, { begins, signal: never }), /no free IPv6 address/);
  assert.deepEqual(done, []);
});

Deno.test("AddressedCni leaves the addresses of an ADD that failed to its DEL", async () => {
  const { cni, book, inner, done } = bench();
  book.held = ["10.38.0.7"];
  inner.during = () => {
    throw new Error("busy");
  };
  await assert.rejects(cni.add(lan, runtime, { signal: never }), /busy/);
  assert.deepEqual(done, ["take"]);
});

Deno.test("AddressedCni keeps what a DEL that fails may have left", async () => {
  const { cni, inner, done } = bench();
  inner.during = () => {
    throw new Error("busy");
  };
  await assert.rejects(cni.del(lan, runtime, result, never), /busy/);
  assert.deepEqual(done, []);
});

Deno.test("AddressedCni fails a DEL whose addresses cannot be given back", async () => {
  const { cni, book } = bench();
  book.giveBack = () => Promise.reject(new Error("cannot give back address 10.38.0.7"));
  await assert.rejects(cni.del(lan, runtime, result, never), /cannot give back address/);
});

Deno.test("AddressedCni runs DEL without a namespace and without a result, with what it knows", async () => {
  const { cni, book, done, given } = bench();
  const gone = { ...runtime, netns: "" };
  await cni.del(lan, gone, undefined, never);
  assert.deepEqual(given.at(-1)!.network.plugins[0]!.ipam, { ...IPAM, addresses: [] });
  book.held = ["10.38.0.7"];
  await cni.del(lan, gone, undefined, never);
  assert.deepEqual(given.at(-1)!.network.plugins[0]!.ipam, IPAM);
  assert.deepEqual(done, ["DEL", "give back", "DEL", "give back"]);
});

Deno.test("AddressedCni checks with what ADD had", async () => {
  const { cni, given } = bench();
  const other = { address: "192.0.2.1/24" };
  const ips = [other, { address: "10.38.0.7/24" }];
  await cni.check(lan, runtime, { ...result, ips }, never);
  assert.deepEqual(given[0]!.network.plugins[0]!.ipam, IPAM);
});

Deno.test("AddressedCni hands over addresses as the capability ips where the plugin declares it", async () => {
  const { cni, given, book } = bench();
  const plugins = [{ type: "ovs", capabilities: { ips: true }, ipam: { type: "own" } }];
  const capabilityArgs = { ips: ["10.38.0.9/24"], mac: "02:00:00:00:00:01" };
  await cni.add({ ...lan, plugins }, { ...runtime, capabilityArgs }, { signal: never });
  assert.deepEqual(given[0]!.network.plugins, plugins);
  assert.deepEqual(given[0]!.runtime!.capabilityArgs, {
    ips: ["10.38.0.7/24"],
    mac: "02:00:00:00:00:01",
  });
  assert.deepEqual(book.fixed, ["10.38.0.9"]);
});

Deno.test("AddressedCni asks for the plugin static, and leaves other networks alone", async () => {
  const { cni, inner, given, done } = bench();
  await cni.verify(lan, never);
  assert.equal((given[0]!.network.plugins[0]!.ipam as { type: string }).type, "static");
  const { addresses: _, ...plain } = lan;
  await cni.add(plain, runtime, { signal: never });
  await cni.del(plain, runtime, result, never);
  assert.deepEqual(done, ["ADD", "DEL"]);
  assert.equal(given[1]!.network, plain);
  inner.missing.add("macvlan");
  assert.deepEqual(cni.missingPlugins(lan), ["macvlan"]);
  await settle();
});

Deno.test("AddressedCni attaches nothing without addresses where the agent reads no Networks", async () => {
  const { inner, done } = bench();
  const cni = new AddressedCni(inner, undefined);
  await assert.rejects(
    cni.add(lan, runtime, { signal: never }),
    /reads no Networks: set networks\.objects/,
  );
  await cni.del(lan, runtime, result, never);
  assert.deepEqual(done, ["DEL"]);
});
