import assert from "node:assert/strict";
import type { Datagrams, Measured, Reach, Stream } from "../probe/protocol.ts";
import { checkCounts, checkTable } from "./report.ts";
import { type Check, type Observed, type SeenPod, verdicts } from "./verdicts.ts";

const IPS = { a: ["198.18.4.2/24", "fd18::2/64"], b: ["198.18.4.3/24", "fd18::3/64"] } as const;

function reached(seenAs: string): Reach {
  return { state: "reached", firstMs: 40, roundTripMs: 0.42, seenAs };
}

const SILENT: Reach = { state: "silent", problem: "no answer within 2 s" };
const FLOWED: Stream = { state: "flowed", bitsPerSecond: 9_412_000_000 };
const STALLED: Stream = { state: "stalled", problem: "no answer within 9 s" };

/** What a pod sees and measures when all is well, unless something else is said. */
function seen(
  role: "a" | "b",
  { ips = IPS[role], datagrams = { state: "all" }, stream = FLOWED, reach }: {
    readonly ips?: readonly string[];
    readonly reach?: Reach;
    readonly datagrams?: Datagrams;
    readonly stream?: Stream;
  } = {},
): SeenPod {
  const peer = role === "a" ? "b" : "a";
  const results = IPS[peer].map((ip, i): Measured => {
    const way = reach ?? reached(IPS[role][i]!.split("/")[0]!);
    return {
      peer,
      address: ip.split("/")[0]!,
      reach: way,
      ...(way.state === "reached" && { datagrams, stream }),
    };
  });
  return {
    network: { interfaceName: "net1", ips },
    interfaces: [
      { name: "lo", addresses: ["127.0.0.1/8"] },
      { name: "net1", addresses: [...ips, "fe80::1/64"] },
    ],
    startMs: 2_300,
    results,
  };
}

function outside(reach: Reach): Measured[] {
  return (["a", "b"] as const).flatMap((peer) =>
    IPS[peer].map((ip) => ({ peer, address: ip.split("/")[0]!, reach }))
  );
}

const HEALTHY: Observed = {
  nodes: ["node-1", "node-2"],
  a: seen("a"),
  b: seen("b"),
  outside: outside(SILENT),
};

function failures(observed: Observed): Extract<Check, { result: "failed" }>[] {
  return verdicts(observed).filter((check) => check.result === "failed");
}

Deno.test("verdicts() of a healthy network are all ok, with their figures", () => {
  const checks = verdicts(HEALTHY);
  assert.deepEqual(checks.filter(({ result }) => result !== "ok"), []);
  const rows = checks.map(({ what, from, to, figure }) => [what, from, to, figure].join("|"));
  assert.deepEqual(rows.slice(2, 6), [
    "addresses differ|a (node-1)|b (node-2)|",
    "IPv4 reach|a (node-1)|b (node-2) 198.18.4.3|0.4 ms there and back",
    "IPv4 path MTU|a (node-1)|b (node-2) 198.18.4.3|full frames arrive",
    "IPv4 throughput|a (node-1)|b (node-2) 198.18.4.3|9.41 Gbit/s",
  ]);
  assert.deepEqual(rows.slice(-3), [
    "isolation|outside (node-1)|b fd18::3|not reached without the network",
    "first packet|a (node-1)||2.3 s after the pod was created (its container: 2.3 s)",
    "first packet|b (node-2)||2.3 s after the pod was created (its container: 2.3 s)",
  ]);
});

Deno.test("verdicts() name lost frames in the direction in which they are lost", () => {
  const datagrams: Datagrams = { state: "up to", packet: 1500 };
  const found = failures({ ...HEALTHY, a: seen("a", { datagrams, stream: STALLED }) });
  assert.deepEqual(
    found.map(({ what, from, figure }) => [what, from, figure]),
    ["IPv4", "IPv6"].flatMap((family) => [
      [`${family} path MTU`, "a (node-1)", "packets of more than 1500 bytes are lost"],
      [`${family} throughput`, "a (node-1)", "the TCP stream stalls: no answer within 9 s"],
    ]),
  );
  assert.match(found[0]!.whatToDo, /between node-1 and node-2 the same MTU, or set "mtu": 1500 /);
  const [flows] = failures({ ...HEALTHY, a: seen("a", { datagrams }) });
  assert.match(flows!.figure, /are lost \(TCP works all the same/);
});

Deno.test("verdicts() say that a network does not connect two nodes, or pods of one", () => {
  const cut = { a: seen("a", { reach: SILENT }), b: seen("b", { reach: SILENT }) };
  const found = failures({ ...HEALTHY, ...cut });
  assert.deepEqual(found.map(({ what }) => what), [
    ...["IPv4 reach", "IPv4 reach", "IPv6 reach", "IPv6 reach"],
  ]);
  assert.match(
    found[0]!.whatToDo,
    /connects node-1 and node-2.*with --nodes node-1 the test shows/,
  );
  // Nobody reaches them: that nobody does from outside proves nothing.
  const isolation = verdicts({ ...HEALTHY, ...cut }).filter(({ what }) => what === "isolation");
  assert.deepEqual(new Set(isolation.map(({ result }) => result)), new Set(["skipped"]));
  const [one] = failures({ ...HEALTHY, ...cut, nodes: ["node-1", "node-1"] });
  assert.match(one!.whatToDo, /packet filters on node-1/);
});

Deno.test("verdicts() name a network that others reach, unless nobody was to try", () => {
  const found = failures({ ...HEALTHY, outside: outside(reached("10.244.0.9")) });
  assert.equal(found.length, 4);
  assert.match(found[0]!.figure, /^a pod without the network reaches it, as 10\.244\.0\.9$/);
  const { outside: _, ...routed } = HEALTHY;
  assert.ok(verdicts(routed).every(({ what }) => what !== "isolation"));
});

Deno.test("verdicts() name addresses that both have, that others have, and that are not there", () => {
  const double = failures({ ...HEALTHY, b: seen("b", { ips: IPS.a }) });
  assert.equal(double[0]!.what, "addresses differ");
  assert.equal(double[0]!.figure, "both have 198.18.4.2 fd18::2");
  const [stranger] = failures({ ...HEALTHY, a: seen("a", { reach: { state: "stranger" } }) });
  assert.equal(stranger!.figure, "something else than pod b answers");
  const elsewhere = failures({ ...HEALTHY, a: seen("a", { reach: reached("10.244.0.7") }) });
  assert.match(elsewhere[0]!.figure, /come from 10\.244\.0\.7, which is not of this network/);
  const gone = { ...seen("a"), interfaces: [{ name: "lo", addresses: ["127.0.0.1/8"] }] };
  const [missing] = failures({ ...HEALTHY, a: gone });
  assert.equal(
    missing!.figure,
    "net1 has no 198.18.4.2/24 fd18::2/64; the pod has lo 127.0.0.1/8",
  );
});

Deno.test("verdicts() skip what a network does not have", () => {
  const bare = (role: "a" | "b"): SeenPod => ({ ...seen(role, { ips: [] }), results: [] });
  const checks = verdicts({ ...HEALTHY, a: bare("a"), b: bare("b"), outside: [] });
  assert.deepEqual(checks.map(({ what, result }) => [what, result]), [
    ["interface", "skipped"],
    ["interface", "skipped"],
    ["addresses differ", "ok"],
    ["IPv4 reach", "skipped"],
    ["IPv6 reach", "skipped"],
    ["first packet", "skipped"],
    ["first packet", "skipped"],
  ]);
  assert.equal(checkCounts(checks), "1 ok, 0 failed, 6 skipped");
});

Deno.test("checkTable() puts what to do below what failed", () => {
  const to = "";
  const table = checkTable([
    { what: "interface", from: "a (n1)", to, result: "ok", figure: "net1 198.18.4.2/24" },
    { what: "isolation", from: "outside (n1)", to, result: "failed", figure: "no", whatToDo: "x" },
  ]);
  assert.equal(
    table,
    [
      "CHECK      FROM          TO  RESULT  FIGURE",
      "interface  a (n1)            ok      net1 198.18.4.2/24",
      "isolation  outside (n1)      failed  no",
      "    what to do: x",
    ].join("\n"),
  );
});
