import assert from "node:assert/strict";
import { join } from "node:path";
import type { RuntimeConfig } from "../agent/model.ts";
import type { NetworkList } from "../claim/network_list.ts";
import { PluginFolders } from "./plugin_folders.ts";
import { pluginRunner } from "./plugin_runner.ts";
import { type PluginRun, Plugins } from "./plugins.ts";
import type { ProgramOutcome } from "./program.ts";
import { CniRunner } from "./runner.ts";

const runtime: RuntimeConfig = {
  containerID: "sandbox1",
  netns: "/var/run/netns/x",
  ifName: "net1",
  args: [["IgnoreUnknown", "true"], ["K8S_POD_NAME", "p"]],
  capabilityArgs: {},
  claim: { namespace: "default", name: "c", uid: "c1" },
  pod: { namespace: "default", name: "p", uid: "p1" },
};
const chain: NetworkList = {
  cniVersion: "1.0.0",
  name: "n",
  plugins: [{ type: "first", key: "value" }, { type: "second" }, { type: "third" }],
};
const never = new AbortController().signal;

interface Call {
  readonly plugin: string;
  readonly env: Record<string, string>;
  // deno-lint-ignore no-explicit-any -- whatever a plugin may read
  readonly stdin: any;
  readonly signal: AbortSignal;
}

/** A runner whose plugins answer as told: an object is printed, an outcome is taken as it is. */
async function withPlugins(
  answer: (call: Call) => Record<string, unknown> | Partial<ProgramOutcome> | undefined,
  body: (runner: CniRunner, calls: Call[], runs: PluginRun[]) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  for (const type of ["first", "second", "third", "host-local"]) {
    await Deno.writeTextFile(join(folder, type), "");
  }
  const calls: Call[] = [];
  const runs: PluginRun[] = [];
  const cniPath = ["/nonexistent", folder];
  const plugins = new Plugins({
    folders: new PluginFolders({ cniPath }),
    timeout: 1000,
    onRun: (operation) => runs.push(operation),
    run: pluginRunner({
      cniPath,
      netnsDir: "/var/run/netns",
      run: (path, options) => {
        const { env, stdin, signal } = options;
        const call = {
          plugin: path.slice(folder.length + 1),
          env: { ...env },
          stdin: JSON.parse(new TextDecoder().decode(stdin)),
          signal,
        };
        calls.push(call);
        const given = answer(call) ?? {};
        const isOutcome = "code" in given && "stderr" in given || "stdout" in given;
        const outcome = isOutcome
          ? given
          : { stdout: new TextEncoder().encode(JSON.stringify(given)) };
        return Promise.resolve(
          { code: 0, stdout: new Uint8Array(0), stderr: "", ...outcome } as ProgramOutcome,
        );
      },
    }),
  });
  try {
    await body(new CniRunner(plugins), calls, runs);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const failed = (text: string, stderr = "", code = 1) => ({ code, stdout: bytes(text), stderr });

Deno.test("add() runs the chain in order, each with the result before it", () =>
  withPlugins(
    ({ plugin }) => ({ cniVersion: "1.0.0", ips: [{ address: `10.0.0.${plugin.length}/24` }] }),
    async (runner, calls) => {
      const { result, networkData } = await runner.add(chain, runtime, { signal: never });
      assert.deepEqual(calls.map(({ plugin }) => plugin), ["first", "second", "third"]);
      assert.deepEqual(calls.map(({ stdin }) => stdin.prevResult?.ips[0].address), [
        undefined,
        "10.0.0.5/24",
        "10.0.0.6/24",
      ]);
      assert.deepEqual(calls[0]!.stdin, {
        type: "first",
        key: "value",
        name: "n",
        cniVersion: "1.0.0",
      });
      assert.deepEqual(result.ips, [{ address: "10.0.0.5/24" }]);
      assert.deepEqual(networkData, { interfaceName: "net1", ips: ["10.0.0.5/24"] });
    },
  ));

Deno.test("add() gives plugins CNI's variables, the PATH and Go's settings, and nothing else", () =>
  withPlugins(() => ({}), async (runner, calls) => {
    await runner.add({ ...chain, plugins: [{ type: "first" }] }, runtime, { signal: never });
    const { CNI_PATH, ...env } = calls[0]!.env;
    assert.match(CNI_PATH!, /^\/nonexistent:\//);
    assert.deepEqual(env, {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      GOMAXPROCS: "1",
      GOGC: "off",
      GOMEMLIMIT: "64MiB",
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: "sandbox1",
      CNI_NETNS: "/var/run/netns/x",
      CNI_IFNAME: "net1",
      CNI_ARGS: "IgnoreUnknown=true;K8S_POD_NAME=p",
    });
  }));

Deno.test("capability arguments reach the plugins that take them, in lower case where it matters", () => {
  const network: NetworkList = {
    ...chain,
    plugins: [
      { type: "first", mac: "0A:00:00:00:00:01", capabilities: { mac: true, ips: false } },
      { type: "second", capabilities: { ips: true } },
      { type: "third" },
    ],
  };
  const capabilityArgs = { mac: "0A:00:00:00:00:02", ips: ["10.0.0.5/24"], bandwidth: {} };
  return withPlugins(() => ({}), async (runner, calls) => {
    await runner.add(network, { ...runtime, capabilityArgs }, { signal: never });
    assert.deepEqual(calls.map(({ stdin }) => stdin.runtimeConfig), [
      { mac: "0a:00:00:00:00:02" },
      { ips: ["10.0.0.5/24"] },
      undefined,
    ]);
    assert.equal(calls[0]!.stdin.mac, "0a:00:00:00:00:01");
    assert.deepEqual(calls[0]!.stdin.capabilities, { mac: true, ips: false });
  });
});

Deno.test("add() stops at the first plugin that fails", () =>
  withPlugins(
    ({ plugin }) =>
      plugin === "second" ? failed('{"code": 11, "msg": "try again", "details": "later"}') : {},
    async (runner, calls) => {
      await assert.rejects(runner.add(chain, runtime, { signal: never }), {
        name: "CniError",
        code: 11,
        message: 'plugin type="second" name="n" failed (add): try again; later',
      });
      assert.deepEqual(calls.map(({ plugin }) => plugin), ["first", "second"]);
    },
  ));

Deno.test("what a plugin says when it fails is what the error says", async (t) => {
  const cases: Record<string, { outcome: Partial<ProgramOutcome>; says: string }> = {
    "an error object": {
      outcome: failed('{"code": 7, "msg": "bad config"}'),
      says: "bad config",
    },
    "an error object and stderr": {
      outcome: failed('{"code": 7, "msg": "bad config"}', "some trace"),
      says: 'bad config (stderr: "some trace")',
    },
    "stderr alone": {
      outcome: failed("", "boom", 2),
      says: 'netplugin failed: "boom": exit status 2',
    },
    "text that is not an error object": {
      outcome: failed("oops", "boom"),
      says: 'netplugin failed, and printed no error object but "oops" (stderr: "boom")',
    },
    "nothing": {
      outcome: failed("", "", 3),
      says: "netplugin failed with no error message: exit status 3",
    },
    "a signal": {
      outcome: { ...failed("", "", 137), signal: "SIGKILL" },
      says: "netplugin failed with no error message: signal SIGKILL",
    },
    "it was killed": {
      outcome: { ...failed("", "waiting", 137), killed: "it did not end within 1000 ms" },
      says: 'it did not end within 1000 ms and was killed (stderr: "waiting")',
    },
    "garbage with exit status 0": {
      outcome: { stdout: bytes("garbage"), stderr: "debug" },
      says: 'it did not print JSON: "garbage" (stderr: "debug")',
    },
    "half its JSON": {
      outcome: { stdout: bytes('{"cniVersion": "1.0') },
      says: 'it did not print JSON: "{\\"cniVersion\\": \\"1.0"',
    },
    "nothing with exit status 0": { outcome: { stdout: bytes("") }, says: "it printed no result" },
    "a result of an unknown version": {
      outcome: { stdout: bytes('{"cniVersion": "9.0.0"}') },
      says:
        'the result has the unknown cniVersion "9.0.0"; known versions are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
    },
  };
  for (const [name, { outcome, says }] of Object.entries(cases)) {
    await t.step(name, () =>
      withPlugins(() => outcome, async (runner) => {
        await assert.rejects(runner.add(chain, runtime, { signal: never }), {
          message: `plugin type="first" name="n" failed (add): ${says}`,
        });
      }));
  }
});

Deno.test("arguments that libcni refuses are refused before anything runs", async (t) => {
  const cases: Record<string, Partial<RuntimeConfig>> = {
    "an empty container id": { containerID: "" },
    "a container id with a slash": { containerID: "a/b" },
    "a container id that begins with a dot": { containerID: ".a" },
    "an empty name": { ifName: "" },
    "a name of 16 bytes": { ifName: "abcdefghijklmnop" },
    "a dot": { ifName: "." },
    "two dots": { ifName: ".." },
    "a slash": { ifName: "a/b" },
    "a colon": { ifName: "a:b" },
    "white space": { ifName: "a b" },
  };
  for (const [name, part] of Object.entries(cases)) {
    await t.step(name, () =>
      withPlugins(() => ({}), async (runner, calls) => {
        await assert.rejects(runner.add(chain, { ...runtime, ...part }, { signal: never }));
        await assert.rejects(runner.del(chain, { ...runtime, ...part }, undefined, never));
        assert.equal(calls.length, 0);
      }));
  }
});

Deno.test("del() runs the chain in reverse, each with the final result", () =>
  withPlugins(() => ({}), async (runner, calls) => {
    const result = { cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24" }] };
    await runner.del(chain, { ...runtime, netns: "" }, result, never);
    assert.deepEqual(calls.map(({ plugin }) => plugin), ["third", "second", "first"]);
    assert.deepEqual(calls.map(({ stdin }) => stdin.prevResult), [result, result, result]);
    assert.equal(calls[0]!.env.CNI_NETNS, "");
  }));

Deno.test("del() gives a result in the network's version, and none before 0.4.0", () => {
  const result = { cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24" }] };
  return withPlugins(() => ({}), async (runner, calls) => {
    await runner.del({ ...chain, cniVersion: "0.4.0" }, runtime, result, never);
    await runner.del({ ...chain, cniVersion: "0.3.1" }, runtime, result, never);
    await runner.del(chain, runtime, undefined, never);
    assert.deepEqual(calls[0]!.stdin.prevResult, {
      cniVersion: "0.4.0",
      ips: [{ version: "4", address: "10.0.0.2/24" }],
    });
    assert.ok(calls.slice(3).every(({ stdin }) => !("prevResult" in stdin)));
  });
});

Deno.test("del() without a namespace frees the lease itself: a plugin may leave early", () => {
  const network = { ...chain, plugins: [{ type: "first", ipam: { type: "host-local" } }] };
  return withPlugins(() => ({}), async (runner, calls) => {
    await runner.del(network, runtime, undefined, never);
    assert.deepEqual(calls.map(({ plugin }) => plugin), ["first"]);
    await runner.del(network, { ...runtime, netns: "" }, undefined, never);
    const [, plugin, ipam] = calls;
    assert.deepEqual([plugin!.plugin, ipam!.plugin], ["first", "host-local"]);
    assert.deepEqual(ipam!.stdin, plugin!.stdin);
    assert.deepEqual(ipam!.env, plugin!.env);
  });
});

Deno.test("del() without a namespace frees the lease although the plugin is gone from the node", () => {
  const network = { ...chain, plugins: [{ type: "gone", ipam: { type: "host-local" } }] };
  return withPlugins(() => ({}), async (runner, calls) => {
    assert.deepEqual(runner.missingPlugins(network), ["gone"]);
    assert.deepEqual(runner.missingPlugins(chain), []);
    await assert.rejects(
      runner.del(network, { ...runtime, netns: "" }, undefined, never),
      /type="gone" .* it is in none of the folders/,
    );
    assert.deepEqual(calls.map(({ plugin }) => plugin), ["host-local"]);
  });
});

Deno.test("del() goes on after a plugin that fails, and names all that failed", () =>
  withPlugins(
    ({ plugin }) =>
      plugin === "first" ? undefined : failed(`{"code": 999, "msg": "${plugin} is stuck"}`),
    async (runner, calls) => {
      await assert.rejects(runner.del(chain, runtime, undefined, never), {
        message: 'plugin type="third" name="n" failed (delete): third is stuck; ' +
          'plugin type="second" name="n" failed (delete): second is stuck',
      });
      assert.deepEqual(calls.map(({ plugin }) => plugin), ["third", "second", "first"]);
    },
  ));

Deno.test("del() is not held up by what a plugin prints when it succeeds", () =>
  withPlugins(() => ({ stdout: bytes("deleted net1") }), async (runner, calls) => {
    await runner.del(chain, runtime, undefined, never);
    assert.equal(calls.length, 3);
  }));

Deno.test("check() runs from 0.4.0 on, unless the network turns it off", () =>
  withPlugins(() => ({}), async (runner, calls) => {
    const result = { cniVersion: "1.0.0" };
    await assert.rejects(
      runner.runCheck({ ...chain, cniVersion: "0.3.1" }, runtime, result, never),
      /CHECK needs 0\.4\.0 or later/,
    );
    await runner.runCheck({ ...chain, disableCheck: true }, runtime, result, never);
    assert.equal(calls.length, 0);
    await runner.runCheck(chain, runtime, result, never);
    assert.deepEqual(calls.map(({ plugin, env }) => `${env.CNI_COMMAND} ${plugin}`), [
      "CHECK first",
      "CHECK second",
      "CHECK third",
    ]);
    assert.deepEqual(calls[0]!.stdin.prevResult, result);
  }));

Deno.test("check() tells what a plugin found from what it could not look at", async (t) => {
  const error = (code: number) => failed(`{"code": ${code}, "msg": "no net1"}`);
  const off = { ...chain, disableCheck: true };
  const noIpam = { ...chain, plugins: [{ type: "first", ipam: { type: "gone" } }] };
  const cases: Record<string, { state: string; answer?: () => unknown; network?: NetworkList }> = {
    "all is well": { state: "intact" },
    "an error of its own": { state: "lost", answer: () => error(100) },
    "an error of no kind": { state: "lost", answer: () => error(999) },
    "a container that it does not know": { state: "lost", answer: () => error(3) },
    "try again later": { state: "unknown", answer: () => error(11) },
    "a version that it does not speak": { state: "unknown", answer: () => error(1) },
    "a configuration that it does not take": { state: "unknown", answer: () => error(7) },
    "no error object": { state: "unknown", answer: () => failed("") },
    "killed": { state: "unknown", answer: () => ({ ...failed(""), killed: "it was cancelled" }) },
    "a delegate that is missing": { state: "unknown", answer: () => error(999), network: noIpam },
    "a version without CHECK": { state: "uncheckable", network: { ...chain, cniVersion: "0.3.1" } },
    "CHECK turned off": { state: "uncheckable", network: off },
  };
  for (const [name, { state, answer = () => ({}), network = chain }] of Object.entries(cases)) {
    await t.step(
      name,
      () =>
        withPlugins(answer as () => Record<string, unknown>, async (runner) => {
          const result = { cniVersion: "1.0.0" };
          const finding = await runner.check(network, runtime, result, never);
          assert.equal(finding.state, state);
          if ("cause" in finding) assert.match(finding.cause, /type="first" .* failed \(check\)/);
        }),
    );
  }
});

Deno.test("gc() names what shall stay, from 1.1.0 on, unless the network turns it off", () =>
  withPlugins(() => ({}), async (runner, calls) => {
    const valid = [{ containerID: "sandbox1", ifname: "net1" }];
    const options = { valid, signal: never };
    await runner.gc(chain, options);
    await runner.gc({ ...chain, cniVersion: "1.1.0", disableGC: true }, options);
    assert.equal(calls.length, 0);
    await runner.gc({ ...chain, cniVersion: "1.1.0" }, options);
    assert.deepEqual(calls.map(({ env }) => env.CNI_COMMAND), ["GC", "GC", "GC"]);
    assert.deepEqual(calls[0]!.stdin["cni.dev/valid-attachments"], valid);
    assert.deepEqual(calls[0]!.stdin["cni.dev/attachments"], valid);
    assert.equal(calls[0]!.env.CNI_CONTAINERID, "");
  }));

Deno.test("verify() asks each plugin once which versions it speaks, IPAM plugins too", () => {
  const network: NetworkList = {
    ...chain,
    plugins: [{ type: "first", ipam: { type: "host-local" } }, { type: "second" }],
  };
  return withPlugins(
    () => ({ cniVersion: "1.1.0", supportedVersions: ["0.4.0", "1.0.0"] }),
    async (runner, calls) => {
      await runner.verify(network, never);
      await runner.verify(network, never);
      assert.deepEqual(calls.map(({ plugin, env }) => `${env.CNI_COMMAND} ${plugin}`), [
        "VERSION first",
        "VERSION host-local",
        "VERSION second",
      ]);
      assert.deepEqual(calls[0]!.stdin, { cniVersion: "1.1.0" });
      await assert.rejects(
        runner.verify({ ...network, cniVersion: "0.3.1" }, never),
        /type="first".*it does not support cniVersion 0\.3\.1, only 0\.4\.0, 1\.0\.0/,
      );
    },
  );
});

Deno.test("verify() knows how plugins answer that are older than VERSION's present form", async (t) => {
  const cases = {
    "the command is not known": {
      answer: failed('{"code": 4, "msg": "unknown CNI_COMMAND: VERSION"}'),
      speaks: "0.1.0",
    },
    "0.2.0 and no list": {
      answer: { stdout: bytes('{"cniVersion": "0.2.0"}') },
      speaks: "0.1.0, 0.2.0",
    },
  };
  for (const [name, { answer, speaks }] of Object.entries(cases)) {
    await t.step(name, () =>
      withPlugins(() => answer, async (runner) => {
        await runner.verify({ ...chain, cniVersion: "0.1.0" }, never);
        await assert.rejects(runner.verify(chain, never), {
          message: `plugin type="first" name="n" failed (version): ` +
            `it does not support cniVersion 1.0.0, only ${speaks}`,
        });
      }));
  }
});

Deno.test("verify() fails when a plugin does not say which versions it speaks", async (t) => {
  const cases = {
    "nothing": "",
    "another object": '{"cniVersion": "1.0.0"}',
    "null": "null",
    "another failure": undefined,
  };
  for (const [name, answer] of Object.entries(cases)) {
    await t.step(name, () =>
      withPlugins(
        () => answer === undefined ? failed("", "no libc") : { stdout: bytes(answer) },
        async (runner) => {
          await assert.rejects(runner.verify(chain, never), {
            message: /failed \(version\): (it does not say which|netplugin failed: "no libc")/,
          });
        },
      ));
  }
});

Deno.test("verify() that is cancelled does not spoil another's", () => {
  const given = new AbortController().signal;
  const killed = { ...failed("", "", 137), killed: "it was cancelled" };
  return withPlugins(
    ({ signal }) => signal === given ? killed : { supportedVersions: ["1.0.0"] },
    async (runner) => {
      const verified = [runner.verify(chain, given), runner.verify(chain, never)];
      // The first may find what the second learned; the second must not get what the first was told.
      const [, second] = await Promise.allSettled(verified);
      assert.equal(second!.status, "fulfilled");
    },
  );
});

Deno.test("verify() names a plugin that is missing and where it was looked for", () =>
  withPlugins(() => ({ supportedVersions: ["1.0.0"] }), async (runner) => {
    const network = { ...chain, plugins: [{ type: "absent" }] };
    await assert.rejects(
      runner.verify(network, never),
      /plugin type="absent" name="n" .* in none of the folders \/nonexistent, \/.*--cni-path/,
    );
  }));

Deno.test("verify() asks for the STATUS from 1.1.0 on", () =>
  withPlugins(
    ({ env }) =>
      env.CNI_COMMAND === "VERSION"
        ? { supportedVersions: ["1.1.0"] }
        : failed('{"code": 50, "msg": "no uplink"}'),
    async (runner) => {
      const network = { ...chain, cniVersion: "1.1.0" };
      await assert.rejects(runner.verify(network, never), {
        code: 50,
        message: 'plugin type="first" name="n" failed (status): no uplink',
      });
    },
  ));

Deno.test("each run of a plugin is told of, what it printed counts, and what is not there does not", () =>
  withPlugins(
    ({ plugin, env }) => {
      if (env.CNI_COMMAND === "DEL") return plugin === "second" ? failed("{}") : undefined;
      return plugin === "third" ? { stdout: bytes("no JSON") } : { cniVersion: "1.0.0" };
    },
    async (runner, _calls, runs) => {
      await assert.rejects(runner.add(chain, runtime, { signal: never }));
      await assert.rejects(runner.del(chain, runtime, undefined, never));
      const missing = { ...chain, plugins: [{ type: "made-up" }] };
      await assert.rejects(runner.add(missing, runtime, { signal: never }));
      assert.ok(runs.every(({ seconds }) => seconds >= 0 && seconds < 10));
      assert.deepEqual(
        runs.map(({ command, plugin, result }) => `${command} ${plugin} ${result}`),
        [
          "ADD first ok",
          "ADD second ok",
          "ADD third error",
          "DEL third ok",
          "DEL second error",
          "DEL first ok",
        ],
      );
    },
  ));

Deno.test("what a plugin says at length is shortened, its beginning and its end stay", async (t) => {
  const msg = `begins ${"x".repeat(100_000)} ends`;
  const network = { ...chain, plugins: [{ type: "first" }, { type: "second" }] };
  const fails = () => ({
    code: 1,
    stdout: new TextEncoder().encode(JSON.stringify({ code: 11, msg, details: msg })),
    stderr: "",
  });
  const short = (error: Error) => {
    assert.match(error.message, /begins x+/);
    assert.match(error.message, /ends$/);
    assert.ok(error.message.length < 5_000, `${error.message.length} characters`);
    return true;
  };
  await t.step(
    "one plugin",
    () =>
      withPlugins(
        fails,
        (runner) => assert.rejects(runner.add(network, runtime, { signal: never }), short),
      ),
  );
  await t.step(
    "all plugins of a chain",
    () =>
      withPlugins(
        fails,
        (runner) => assert.rejects(runner.del(network, runtime, undefined, never), short),
      ),
  );
});
