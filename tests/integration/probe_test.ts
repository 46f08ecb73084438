/** Two probes in two network namespaces with a switch between them, as `test` has them in pods. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ip } from "../../mod/simulator/private_node.ts";
import {
  type Measured,
  type ProbeLine,
  probeLines,
  type Reach,
  type Task,
} from "../../mod/probe/protocol.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const RUN = "t1";
const ADDRESSES = { a: ["198.18.0.2", "fd00:18::2"], b: ["198.18.0.3", "fd00:18::3"] } as const;
type Name = keyof typeof ADDRESSES;

/** A probe as a separate process in a namespace. */
class Probe implements AsyncDisposable {
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ProbeLine[] = [];
  readonly #read: Promise<void>;

  constructor(name: Name | "outside", { run = RUN }: { readonly run?: string } = {}) {
    this.#folder = Deno.makeTempDirSync();
    this.#process = new Deno.Command("ip", {
      args: [
        ...["netns", "exec", netnsOf(name), Deno.execPath(), "run", "--quiet", "--no-prompt"],
        ...["--allow-read", "--allow-net", "--allow-sys=networkInterfaces", "--allow-env"],
        ...[MAIN, "probe", "--run", run, "--name", name, "--task", this.#task],
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#read = this.#collect();
  }

  get #task(): string {
    return join(this.#folder, "task");
  }

  async #collect(): Promise<void> {
    let log = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      log += text;
      this.#lines.splice(0, Infinity, ...probeLines(log.slice(0, log.lastIndexOf("\n") + 1)));
    }
  }

  async #line<P extends ProbeLine["probe"]>(probe: P) {
    for (let tries = 0; tries < 600; tries++) {
      const found = this.#lines.find((line) => line.probe === probe);
      if (found) return found as Extract<ProbeLine, { probe: P }>;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no line "${probe}"`);
  }

  async started() {
    return await this.#line("started");
  }

  async measure(task: Task): Promise<readonly Measured[]> {
    await Deno.writeTextFile(this.#task, JSON.stringify(task));
    return (await this.#line("measured")).results;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    const { code } = await this.#process.status;
    await this.#read;
    await Deno.remove(this.#folder, { recursive: true });
    assert.equal(code, 0);
  }
}

const netnsOf = (name: string) => `probe-${name}`;

/** Namespaces on a bridge in one more; `outside` has no way to it. */
async function withNetwork(body: () => Promise<void>): Promise<void> {
  const all = ["a", "b", "outside", "switch"].map(netnsOf);
  try {
    for (const netns of all) {
      await ip(["netns", "add", netns]);
      await ip(["-n", netns, "link", "set", "lo", "up"]);
    }
    const between = netnsOf("switch");
    await ip(["-n", between, "link", "add", "br0", "type", "bridge"]);
    await ip(["-n", between, "link", "set", "br0", "up"]);
    for (const name of ["a", "b"] as const) {
      const netns = netnsOf(name);
      await ip([
        ...["-n", between, "link", "add", "name", name, "type", "veth"],
        ...["peer", "name", "net1", "netns", netns],
      ]);
      await ip(["-n", between, "link", "set", "dev", name, "master", "br0", "up"]);
      for (const [i, address] of ADDRESSES[name].entries()) {
        const nodad = i === 1 ? ["nodad"] : [];
        await ip([
          "-n",
          netns,
          "address",
          "add",
          `${address}/${[24, 64][i]}`,
          "dev",
          "net1",
          ...nodad,
        ]);
      }
      await ip(["-n", netns, "link", "set", "net1", "up"]);
    }
    await body();
  } finally {
    for (const netns of all) await ip(["netns", "delete", netns]).catch(() => {});
  }
}

/** The MTU of what the switch has of a side, and of the side's own interface. */
async function setMtu(name: Name, { port, own }: { readonly port: number; readonly own: number }) {
  await ip(["-n", netnsOf("switch"), "link", "set", "dev", name, "mtu", `${port}`]);
  await ip(["-n", netnsOf(name), "link", "set", "net1", "mtu", `${own}`]);
}

const inside = (...peers: Name[]): Task => ({
  from: "inside",
  peers: peers.map((name) => ({ name, addresses: ADDRESSES[name] })),
});

function assertReached(reach: Reach, seenAs: string): void {
  assert.equal(reach.state, "reached", JSON.stringify(reach));
  if (reach.state !== "reached") return;
  assert.equal(reach.seenAs, seenAs);
  assert.ok(reach.roundTripMs > 0 && reach.roundTripMs <= reach.firstMs);
}

Deno.test("probes measure both ways by IPv4 and IPv6, and say what interfaces they see", () =>
  withNetwork(async () => {
    await using a = new Probe("a");
    await using b = new Probe("b");
    const { interfaces } = await a.started();
    const net1 = interfaces.find(({ name }) => name === "net1")!;
    assert.deepEqual(net1.addresses.slice(0, 2), ["198.18.0.2/24", "fd00:18::2/64"]);
    await b.started();
    for (const [probe, to, own] of [[a, "b", "a"], [b, "a", "b"]] as const) {
      const results = await probe.measure(inside(to));
      assert.deepEqual(results.map(({ address }) => address), ADDRESSES[to]);
      for (const [i, { reach, datagrams, stream }] of results.entries()) {
        assertReached(reach, ADDRESSES[own][i]!);
        assert.deepEqual(datagrams, { state: "all" });
        assert.equal(stream?.state, "flowed");
        assert.ok(stream?.state === "flowed" && stream.bitsPerSecond > 1e6);
      }
    }
  }));

Deno.test("a way that loses long frames shows the longest packet that it carries", () =>
  withNetwork(async () => {
    await setMtu("a", { port: 9000, own: 9000 });
    await setMtu("b", { port: 9000, own: 1400 });
    await using a = new Probe("a");
    await using b = new Probe("b");
    await Promise.all([a.started(), b.started()]);
    for (const { reach, datagrams, stream } of await a.measure(inside("b"))) {
      assert.equal(reach.state, "reached");
      // The kernel leaves room for a VLAN's tag.
      assert.ok(datagrams?.state === "up to", JSON.stringify(datagrams));
      assert.ok([1400, 1404].includes(datagrams.packet), `${datagrams.packet}`);
      // Both ends agree on shorter frames.
      assert.equal(stream?.state, "flowed", JSON.stringify(stream));
    }
  }));

Deno.test("a silent address, a stranger's and one from outside are told apart", () =>
  withNetwork(async () => {
    await using a = new Probe("a");
    await using b = new Probe("b", { run: "t2" });
    await using outside = new Probe("outside");
    await Promise.all([a.started(), b.started(), outside.started()]);
    const [silent, stranger] = await a.measure({
      from: "inside",
      peers: [
        { name: "c", addresses: ["198.18.0.99"] },
        { name: "b", addresses: [ADDRESSES.a[0]] },
      ],
    });
    assert.equal(silent?.reach.state, "silent");
    assert.equal(silent?.datagrams, undefined);
    // Its own address answers, as another than the one that is asked for.
    assert.equal(stranger?.reach.state, "stranger");
    // A probe of another test does not say a word.
    const [other] = await b.measure(inside("a"));
    assert.equal(other?.reach.state, "silent");
    for (const { reach } of await outside.measure({ ...inside("a"), from: "outside" })) {
      assert.equal(reach.state, "silent");
    }
  }));
