import assert from "node:assert/strict";
import { pluginRunner } from "./plugin_runner.ts";
import type { ProgramOptions } from "./program.ts";

const ADD = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "sandbox1",
  CNI_NETNS: "/var/run/netns/cni-1",
  CNI_IFNAME: "net1",
  CNI_ARGS: "IgnoreUnknown=true;K8S_POD_NAME=p",
};

/** Runs it with a program runner that writes down what it gets. */
async function run(env: Record<string, string>, path = "/opt/cni/bin/macvlan") {
  const runs: { readonly path: string; readonly options: ProgramOptions }[] = [];
  const outcome = { code: 0, stdout: new Uint8Array(0), stderr: "" };
  const runner = pluginRunner({
    cniPath: ["/opt/cni/bin", "/usr/lib/cni"],
    netnsDir: "/var/run/netns",
    run: (path, options) => {
      runs.push({ path, options });
      return Promise.resolve(outcome);
    },
  });
  const signal = new AbortController().signal;
  await runner(path, { env, stdin: new Uint8Array(0), timeout: 1000, signal });
  return runs;
}

Deno.test("pluginRunner() gives plugins the operation's variables and its own", async () => {
  const [only] = await run(ADD);
  assert.equal(only?.path, "/opt/cni/bin/macvlan");
  assert.deepEqual(only?.options.env, {
    ...ADD,
    CNI_PATH: "/opt/cni/bin:/usr/lib/cni",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    GOMAXPROCS: "1",
    GOGC: "off",
    GOMEMLIMIT: "64MiB",
  });
});

Deno.test("pluginRunner() takes what CNI says of an operation", async () => {
  const good: Record<string, string>[] = [
    { ...ADD, CNI_NETNS: "/run/netns/cni-1" },
    { ...ADD, CNI_COMMAND: "DEL", CNI_NETNS: "" },
    { ...ADD, CNI_COMMAND: "DEL", CNI_NETNS: `/proc/${Deno.pid}/fd/31` },
    { ...ADD, CNI_ARGS: "" },
    { ...ADD, CNI_COMMAND: "GC", CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "" },
    { CNI_COMMAND: "STATUS" },
    {
      CNI_COMMAND: "VERSION",
      CNI_CONTAINERID: "dummy",
      CNI_NETNS: "dummy",
      CNI_IFNAME: "dummy",
    },
  ];
  for (const env of good) assert.equal((await run(env)).length, 1, JSON.stringify(env));
});

Deno.test("pluginRunner() refuses what would run or open something else", async () => {
  for (
    const [variable, ...values] of [
      ["PATH", "/tmp"],
      ["CNI_PATH", "/tmp"],
      ["GOMAXPROCS", "64"],
      ["GODEBUG", "x"],
      ["LD_PRELOAD", "/tmp/x.so"],
      ["CNI_COMMAND", "", "add", "RUN"],
      ["CNI_CONTAINERID", "", "../x", "a/b", "a\0b"],
      ["CNI_IFNAME", "", "a/b", "..", "x".repeat(16)],
      ["CNI_ARGS", "a", "a=b;;c=d", "a=\0", `a=${"b".repeat(5000)}`],
      [
        "CNI_NETNS",
        "dummy",
        "netns/x",
        "/proc/1/ns/net",
        "/proc/self/ns/net",
        "/proc/1/fd/3",
        `/proc/${Deno.pid}/fd/3/../../ns/net`,
        "/var/run/netns/../../../proc/1/ns/net",
        "/var/run/netns/a/b",
        "/tmp/x",
      ],
    ] as const
  ) {
    for (const value of values) {
      await assert.rejects(
        run({ ...ADD, [variable]: value }),
        /must not set|invalid|interface name/,
        `${variable}=${value}`,
      );
    }
  }
  for (
    const path of [
      "/bin/true",
      "/opt/cni/bin",
      "/opt/cni/bin/",
      "/opt/cni/bin/..",
      "/opt/cni/bin/x/../macvlan",
      "macvlan",
    ]
  ) {
    await assert.rejects(run(ADD, path), /is not a plugin of \/opt\/cni\/bin, /, path);
  }
});
