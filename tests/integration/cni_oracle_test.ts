/**
 * libcni is the oracle: what a plugin is given, and how its failures read, must be the same whether
 * cnitool or this project's runner calls it.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { parseNetworkList } from "../../mod/claim/network_list.ts";
import { PluginFolders } from "../../mod/cni/plugin_folders.ts";
import { pluginRunner } from "../../mod/cni/plugin_runner.ts";
import { Plugins } from "../../mod/cni/plugins.ts";
import { runProgram } from "../../mod/cni/program.ts";
import { CniRunner } from "../../mod/cni/runner.ts";
import type { CniResult, RuntimeConfig } from "../../mod/agent/model.ts";
import { fetchCnitool } from "../support/cnitool.ts";

const cnitool = await fetchCnitool();
const never = new AbortController().signal;
const PATH = Deno.env.get("PATH")!;
const NETNS = "/var/run/netns/oracle";

/** Writes down its environment and its input, and answers what lies beside it. */
const RECORDER = `#!/bin/sh
here=$(dirname "$0")
record="$here/records/$(ls "$here/records" | wc -l)"
mkdir "$record"
env | grep ^CNI_ >"$record/env"
cat >"$record/stdin"
basename "$0" >"$record/plugin"
answer="$here/answers/$CNI_COMMAND-$(basename "$0")"
[ -e "$answer" ] && cat "$answer"
[ -e "$answer.stderr" ] && cat "$answer.stderr" >&2
[ -e "$answer.code" ] && exit "$(cat "$answer.code")"
exit 0
`;

interface Answer {
  readonly stdout?: unknown;
  readonly stderr?: string;
  readonly code?: number;
}

interface Scenario {
  /** A network list, or a single plugin's configuration. */
  readonly config: Record<string, unknown>;
  /** By command and plugin: `ADD-first`. */
  readonly answers?: Readonly<Record<string, Answer>>;
  readonly commands: readonly ("add" | "check" | "del" | "gc" | "status")[];
  readonly args?: RuntimeConfig["args"];
  readonly capabilityArgs?: Record<string, unknown>;
}

interface Seen {
  /** What plugins were given, in order. */
  readonly records: readonly unknown[];
  /** What each command said in the end: an error, or "". */
  readonly ends: readonly string[];
}

/** Where plugins record; one place for both callers, so that their paths are the same. */
class Bench {
  private constructor(readonly folder: string, readonly scenario: Scenario) {}

  static async with(scenario: Scenario, body: (bench: Bench) => Promise<void>): Promise<void> {
    const bench = new Bench(await Deno.makeTempDir(), scenario);
    try {
      await bench.#furnish();
      await body(bench);
    } finally {
      await Deno.remove(bench.folder, { recursive: true });
    }
  }

  async #furnish(): Promise<void> {
    const { config, answers = {} } = this.scenario;
    for (const folder of ["records", "answers", "net.d"]) {
      await Deno.mkdir(join(this.folder, folder));
    }
    for (const plugin of ["first", "second"]) {
      await Deno.writeTextFile(join(this.folder, plugin), RECORDER, { mode: 0o755 });
    }
    const name = config.plugins ? "net.conflist" : "net.conf";
    await Deno.writeTextFile(join(this.folder, "net.d", name), JSON.stringify(config));
    for (const [call, { stdout, stderr, code }] of Object.entries(answers)) {
      const path = join(this.folder, "answers", call);
      const text = typeof stdout === "string" ? stdout : JSON.stringify(stdout ?? {});
      await Deno.writeTextFile(path, text);
      if (stderr !== undefined) await Deno.writeTextFile(`${path}.stderr`, stderr);
      if (code !== undefined) await Deno.writeTextFile(`${path}.code`, String(code));
    }
  }

  /** By cnitool, in a process for each command. */
  async byLibcni(program: string): Promise<Seen> {
    const { commands, args = [], capabilityArgs = {}, config } = this.scenario;
    const ends: string[] = [];
    for (const command of commands) {
      const { stderr } = await new Deno.Command(program, {
        args: [command, String(config.name), NETNS],
        clearEnv: true,
        env: {
          PATH,
          CNI_PATH: this.folder,
          NETCONFPATH: join(this.folder, "net.d"),
          CNI_IFNAME: "net1",
          CNI_ARGS: args.map((pair) => pair.join("=")).join(";"),
          CAP_ARGS: JSON.stringify(capabilityArgs),
        },
      }).output();
      // Its last line is the error; what goes before is cnitool's usage.
      ends.push(new TextDecoder().decode(stderr).trim().split("\n").at(-1)!);
    }
    return { records: await this.#records(), ends };
  }

  /** By this project's runner. */
  async byUs(): Promise<Seen> {
    const { commands, args = [], capabilityArgs = {}, config } = this.scenario;
    const runner = new CniRunner(
      new Plugins({
        folders: new PluginFolders({ cniPath: [this.folder] }),
        timeout: 10_000,
        run: pluginRunner({ cniPath: [this.folder], netnsDir: dirname(NETNS), run: runProgram }),
      }),
    );
    const network = parseNetworkList(config, "config");
    const hash = createHash("sha512").update(NETNS).digest("hex").slice(0, 20);
    const runtime: RuntimeConfig = {
      containerID: `cnitool-${hash}`,
      netns: NETNS,
      ifName: "net1",
      args,
      capabilityArgs,
      claim: { namespace: "default", name: "c", uid: "c1" },
      pod: { namespace: "default", name: "p", uid: "p1" },
    };
    let result: CniResult | undefined;
    const run = {
      add: async () => void ({ result } = await runner.add(network, runtime, { signal: never })),
      check: () => runner.runCheck(network, runtime, result!, never),
      del: () => runner.del(network, runtime, result, never),
      gc: () => runner.gc(network, { valid: [], signal: never }),
      status: () => runner.status(network, never),
    };
    const ends: string[] = [];
    for (const command of commands) {
      ends.push(await run[command]().then(() => "", ({ message }: Error) => message));
    }
    return { records: await this.#records(), ends };
  }

  /** What was recorded since the last time. */
  async #records(): Promise<unknown[]> {
    const folder = join(this.folder, "records");
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => Number(name));
    const read = (name: number, file: string) => Deno.readTextFile(join(folder, `${name}`, file));
    const records = [];
    for (const name of names.sort((a, b) => a - b)) {
      records.push({
        plugin: (await read(name, "plugin")).trim(),
        env: (await read(name, "env")).trim().split("\n").sort(),
        stdin: JSON.parse(await read(name, "stdin")),
      });
      await Deno.remove(join(folder, `${name}`), { recursive: true });
    }
    return records;
  }
}

const chain = (more: Record<string, unknown> = {}) => ({
  cniVersion: "1.0.0",
  name: "n",
  plugins: [{ type: "first", key: [1, { deep: null }] }, { type: "second" }],
  ...more,
});

const result = (cniVersion: string, last = 2) => ({
  cniVersion,
  interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", sandbox: NETNS }],
  ips: [{
    ...(cniVersion.startsWith("0.") && { version: "4" }),
    interface: 0,
    address: `10.0.0.${last}/24`,
    gateway: "10.0.0.1",
  }],
  routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }],
  dns: { nameservers: ["10.0.0.1"] },
});

const added = (cniVersion: string) => ({
  "ADD-first": { stdout: result(cniVersion) },
  "ADD-second": { stdout: result(cniVersion, 3) },
});

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "a chain through its life": {
    config: chain(),
    answers: added("1.0.0"),
    commands: ["add", "check", "del"],
    args: [["IgnoreUnknown", "true"], ["K8S_POD_NAME", "p"]],
  },
  "1.1.0, with STATUS": {
    config: chain({ cniVersion: "1.1.0" }),
    answers: added("1.1.0"),
    commands: ["status", "add", "check", "del"],
  },
  "0.4.0": {
    config: chain({ cniVersion: "0.4.0" }),
    answers: added("0.4.0"),
    commands: ["add", "check", "del"],
  },
  "0.3.1: DEL without a result": {
    config: chain({ cniVersion: "0.3.1" }),
    answers: added("0.3.1"),
    commands: ["add", "del"],
  },
  "0.2.0: results with ip4 and ip6": {
    config: chain({ cniVersion: "0.2.0" }),
    answers: {
      "ADD-first": {
        stdout: {
          cniVersion: "0.2.0",
          ip4: { ip: "10.0.0.2/24", gateway: "10.0.0.1", routes: [{ dst: "0.0.0.0/0" }] },
          ip6: { ip: "fd00::2/64" },
          dns: { nameservers: ["10.0.0.1"] },
        },
      },
      "ADD-second": { stdout: { cniVersion: "0.2.0", ip4: { ip: "10.0.0.2/24" } } },
    },
    commands: ["add", "del"],
  },
  "a result in another version than the network's": {
    config: chain({ cniVersion: "1.0.0" }),
    answers: added("0.4.0"),
    commands: ["add", "check", "del"],
  },
  "a result in a newer version than the network's": {
    config: chain({ cniVersion: "0.4.0" }),
    answers: added("1.0.0"),
    commands: ["add", "check", "del"],
  },
  "a result that names no version": {
    config: chain(),
    answers: {
      "ADD-first": { stdout: { ...result("1.0.0"), cniVersion: undefined } },
      "ADD-second": { stdout: { ...result("1.0.0"), cniVersion: "" } },
    },
    commands: ["add", "del"],
  },
  "capabilities: used, not used, turned off": {
    config: chain({
      plugins: [
        { type: "first", capabilities: { mac: true, ips: false, bandwidth: true } },
        { type: "second", capabilities: { ips: true } },
      ],
    }),
    answers: added("1.0.0"),
    commands: ["add", "check", "del"],
    capabilityArgs: { mac: "02:00:00:00:00:01", ips: ["10.0.0.5/24"], portMappings: [] },
  },
  "several versions: the highest that is known": {
    config: chain({ cniVersion: "0.4.0", cniVersions: ["0.3.1", "1.0.0", "7.0.0"] }),
    answers: added("1.0.0"),
    commands: ["add", "del"],
  },
  "CHECK turned off, in words": {
    config: chain({ disableCheck: "true" }),
    answers: added("1.0.0"),
    commands: ["add", "check", "del"],
  },
  "GC turned off": {
    config: chain({ cniVersion: "1.1.0", disableGC: true }),
    commands: ["gc"],
  },
  "GC before 1.1.0": { config: chain(), commands: ["gc"] },
  "a single plugin's configuration": {
    config: { cniVersion: "1.0.0", name: "n", type: "first", key: "value" },
    answers: added("1.0.0"),
    commands: ["add", "check", "del"],
  },
  "DEL without an ADD": { config: chain(), commands: ["del"] },
  "ADD that fails with an error object": {
    config: chain(),
    answers: { ...added("1.0.0"), "ADD-second": failure({ code: 11, msg: "later", details: "d" }) },
    commands: ["add", "del"],
  },
  "an error object without details": {
    config: chain(),
    answers: { "ADD-first": failure({ cniVersion: "1.0.0", code: 7, msg: "bad config" }) },
    commands: ["add"],
  },
  "stderr alone": {
    config: chain(),
    answers: { "ADD-first": { stdout: "", stderr: "boom", code: 2 } },
    commands: ["add"],
  },
  "not a word": {
    config: chain(),
    answers: { "ADD-first": { stdout: "", code: 3 } },
    commands: ["add"],
  },
  "CHECK that fails": {
    config: chain(),
    answers: { ...added("1.0.0"), "CHECK-first": failure({ code: 999, msg: "lost" }) },
    commands: ["add", "check", "del"],
  },
  "STATUS that fails": {
    config: chain({ cniVersion: "1.1.0" }),
    answers: { "STATUS-first": failure({ code: 50, msg: "no uplink" }) },
    commands: ["status"],
  },
  "DEL that prints what is no JSON": {
    config: chain(),
    answers: { ...added("1.0.0"), "DEL-second": { stdout: "gone" } },
    commands: ["add", "del"],
  },
};

function failure(stdout: Record<string, unknown>): Answer {
  return { stdout, code: 1 };
}

/**
 * libcni names the network only where the plugin's own object does, and the operation only for ADD
 * and DEL; here both are always named. The rest of the message must be the same.
 */
function comparable(message: string): string {
  return message.replace(/^plugin type="\w+"( name="\w+")? failed \(\w+\): /, "");
}

const without = "missing" in cnitool ? ` (not run: ${cnitool.missing})` : "";

Deno.test({
  name: `plugins see no difference between libcni and this project${without}`,
  ignore: "missing" in cnitool,
  fn: async (t) => {
    assert.ok("path" in cnitool);
    for (const [name, scenario] of Object.entries(SCENARIOS)) {
      await t.step(name, () =>
        Bench.with(scenario, async (bench) => {
          const theirs = await bench.byLibcni(cnitool.path);
          const ours = await bench.byUs();
          assert.equal(theirs.records.length > 0, !scenario.commands.includes("gc"));
          assert.deepEqual(ours.records, theirs.records);
          assert.deepEqual(ours.ends.map(comparable), theirs.ends.map(comparable));
        }));
    }
  },
});
