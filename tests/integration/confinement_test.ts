/** What the agent may do once it is confined: each thing is tried from inside. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Confinement, confinementOf } from "../../mod/cmd/confinement.ts";
import { parseRunConfig } from "../../mod/cmd/run_config.ts";
import { Warden } from "../../mod/cmd/warden.ts";
import { linkPluginFolders } from "../../mod/cni/plugin_folders.ts";
import { runProgram } from "../../mod/cni/program.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedNode } from "../../mod/simulator/node.ts";
import { AgentProcess } from "../support/agent_process.ts";

const driver = "dra.networking";
const POD_UID = "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55";
const [cniPath] = await fetchCniPlugins();

/** Runs in the worker: evaluates what it is sent, and says what came of it. */
const PROBE = `
  self.onmessage = async ({ data }) => {
    try {
      await (0, eval)("(async () => {" + data + "})()");
      self.postMessage("allowed");
    } catch (error) {
      const denied = /^Requires [a-z]+ access/.test(error.message) ||
        error instanceof Deno.errors.NotCapable;
      self.postMessage(denied ? "denied" : "allowed, and failed: " + error);
    }
  };
`;

/** Tries statements one after the other, each as the agent could. */
class Inside implements Disposable {
  readonly #worker: Worker;

  constructor(permissions: unknown) {
    this.#worker = new Worker(
      `data:text/javascript,${encodeURIComponent(PROBE)}`,
      { type: "module", deno: { permissions } } as WorkerOptions,
    );
  }

  async try(statement: string): Promise<string> {
    const answer = Promise.withResolvers<string>();
    this.#worker.onmessage = ({ data }) => answer.resolve(data);
    this.#worker.postMessage(statement);
    return await answer.promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

const quote = (text: string) => JSON.stringify(text);

Deno.test("the confined agent can do what it must, and nothing else", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const at = (...names: string[]) => join(folder, ...names);
  for (
    const name of ["state/claims", "cdi", `kubelet/plugins/${driver}`, "kubelet/plugins_registry"]
  ) {
    await Deno.mkdir(at(name), { recursive: true });
  }
  for (const name of ["token", "kubelet/config.yaml", "outside"]) {
    await Deno.writeTextFile(at(name), "secret");
  }
  const others = ["other.sock", "containerd.sock", "nri.sock"].map((name) =>
    Deno.listen({ transport: "unix", path: at(name) })
  );
  const config = parseRunConfig([
    ...["--node-name", "node-1", "--pod-uid", POD_UID, "--listen", "127.0.0.1:9177"],
    ...["--kubelet-dir", at("kubelet"), "--nri-socket", at("nri.sock")],
    ...["--state-dir", at("state"), "--cdi-dir", at("cdi"), "--cni-path", cniPath!],
  ], { env: () => undefined, readFile: () => "", hostname: () => "node-1", cores: 2 });
  const access = { host: "127.0.0.1:6443", files: [at("token")] };
  const read = (path: string) => `Deno.readTextFileSync(${quote(path)})`;
  const write = (path: string) => `Deno.writeTextFileSync(${quote(path)}, "x")`;
  const unix = (path: string) =>
    `(await Deno.connect({ transport: "unix", path: ${quote(path)} })).close()`;
  const connect = (port: number, hostname = "127.0.0.1") =>
    `(await Deno.connect({ hostname: ${quote(hostname)}, port: ${port} })).close()`;
  const allowed: Readonly<Record<string, string>> = {
    "its records": write(at("state/claims/record")),
    "a CDI file": write(at("cdi/spec.json")),
    "its credentials": read(at("token")),
    "the plugins' folder": `Deno.readDirSync(${quote(cniPath!)})`,
    "the pods' namespaces": 'try { Deno.statSync("/var/run/netns/x") } catch (error) { ' +
      "if (!(error instanceof Deno.errors.NotFound)) throw error }",
    "the runtime's NRI socket": unix(at("nri.sock")),
    "its own address": 'Deno.listen({ hostname: "127.0.0.1", port: 9177 }).close()',
  };
  const denied: Readonly<Record<string, string>> = {
    "any file": read("/etc/passwd"),
    "a file beside its folders": read(at("outside")),
    "a path that leads out of its folders": read(`${at("state")}/../outside`),
    "the kubelet's settings": read(at("kubelet/config.yaml")),
    "another driver's folder": `Deno.readDirSync(${quote(at("kubelet/plugins"))})`,
    "the process's own secrets": read("/proc/self/environ"),
    "the memory of the process": read("/proc/self/mem"),
    "a kernel setting": write("/proc/sys/net/ipv4/ip_forward"),
    "a device": read("/dev/sda"),
    "a plugin": write(join(cniPath!, "macvlan")),
    "what launches plugins": write(at("state/launcher")),
    "what launches plugins, in its place": `Deno.renameSync(${quote(at("state/claims/record"))}, ${
      quote(at("state/launcher"))
    })`,
    "a file of its credentials": write(at("token")),
    "a link out of its folders": `Deno.symlinkSync("/etc/passwd", ${
      quote(at("state/claims/link"))
    })`,
    "a link, by Node's functions": `(await import("node:fs")).symlinkSync("/etc/passwd", ${
      quote(at("state/claims/link"))
    })`,
    "a second name of a file": `Deno.linkSync("/etc/passwd", ${quote(at("state/claims/link"))})`,
    "another program": 'new Deno.Command("/bin/true").outputSync()',
    "a plugin, run": `new Deno.Command(${quote(join(cniPath!, "macvlan"))}).outputSync()`,
    "a program, by Node's functions":
      'if ((await import("node:child_process")).spawnSync("/bin/true").status !== 0) ' +
      'throw new Deno.errors.NotCapable("")',
    "a signal to another process": 'Deno.kill(1, "SIGCONT")',
    "another unix socket": unix(at("other.sock")),
    "the runtime's own socket": unix(at("containerd.sock")),
    "a unix socket of its own choice": `Deno.listen({ transport: "unix", path: ${
      quote(at("state/x.sock"))
    } })`,
    "another port of the API server's host": connect(22),
    "another host": connect(443, "198.51.100.1"),
    "another address to listen at": 'Deno.listen({ hostname: "127.0.0.1", port: 9178 })',
    "all addresses": 'Deno.listen({ hostname: "0.0.0.0", port: 9177 })',
    "a request to another host": 'await fetch("http://198.51.100.1/")',
    "names": 'await Deno.resolveDns("example.com", "A")',
    "a foreign library": 'Deno.dlopen("libc.so.6", {})',
    "code from elsewhere": 'const url = "http://198.51.100.1/x.js"; await import(url)',
    "the machine's memory": "Deno.systemMemoryInfo()",
    "more permissions": "const { state } = await Deno.permissions.request({ name: 'run' }); " +
      "if (state !== 'granted') throw new Deno.errors.NotCapable(state)",
    "a worker with more permissions":
      'new Worker("data:text/javascript,", { type: "module", deno: { permissions: { run: true } } })',
  };
  await t.step("another folder of namespaces is one that the settings name", () => {
    const elsewhere = confinementOf({ ...config, netnsDir: "/data/netns" }, { access, code: [] });
    assert.ok(elsewhere.read.includes("/data/netns"));
    assert.ok(!elsewhere.read.includes("/run/netns"));
  });
  const probe = confinementOf(config, { access, code: [] });
  try {
    using inside = new Inside(probe);
    for (const [what, statement] of Object.entries(allowed)) {
      await t.step(`allowed: ${what}`, async () => {
        assert.equal(await inside.try(statement), "allowed");
      });
    }
    for (const [what, statement] of Object.entries(denied)) {
      await t.step(`denied: ${what}`, async () => {
        assert.equal(await inside.try(statement), "denied");
      });
    }
    // What is denied is so by the confinement, not for another reason.
    using free = new Inside("inherit");
    for (
      const what of [
        "any file",
        "another program",
        "a program, by Node's functions",
        "another unix socket",
      ]
    ) {
      await t.step(`without confinement: ${what}`, async () => {
        assert.equal(await free.try(denied[what]!), "allowed");
      });
    }
  } finally {
    for (const listener of others) listener.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("of the root that plugins run in, the confined agent sees their folders and nothing else", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const [root, state] = [join(folder, "root"), join(folder, "state")];
  try {
    for (const path of [join(root, "opt/cni/bin"), join(root, "etc"), state]) {
      await Deno.mkdir(path, { recursive: true });
    }
    await Deno.writeTextFile(join(root, "opt/cni/bin/macvlan"), "", { mode: 0o755 });
    await Deno.writeTextFile(join(root, "etc/shadow"), "secret");
    const config = parseRunConfig([
      ...["--chroot-dir", root, "--state-dir", state, "--listen", "127.0.0.1:9177"],
      ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
    ], { env: () => undefined, readFile: () => "", hostname: () => "node-1", cores: 2 });
    linkPluginFolders(config);
    const access = { host: "127.0.0.1:6443", files: [] };
    using inside = new Inside(confinementOf(config, { access, code: [] }));
    const plugins = join(state, "plugins-0");
    const cases: Readonly<Record<string, readonly [string, string]>> = {
      "the plugins": [`Deno.statSync(${quote(join(plugins, "macvlan"))})`, "allowed"],
      "their folder": [`[...Deno.readDirSync(${quote(plugins)})]`, "allowed"],
      "a file of the root": [`Deno.readTextFileSync(${quote(join(root, "etc/shadow"))})`, "denied"],
      "a file beside the plugins": [
        `Deno.readTextFileSync(${quote(plugins)} + "/../../../etc/shadow")`,
        "denied",
      ],
      "the root": [`Deno.readDirSync(${quote(root)})`, "denied"],
      "a plugin, to write it": [
        `Deno.writeTextFileSync(${quote(join(plugins, "macvlan"))}, "x")`,
        "denied",
      ],
      "another folder of plugins": [
        `Deno.renameSync(${quote(join(state, "claims"))}, ${quote(plugins)})`,
        "denied",
      ],
    };
    for (const [what, [statement, wanted]] of Object.entries(cases)) {
      await t.step(`${wanted}: ${what}`, async () => {
        assert.equal(await inside.try(statement), wanted);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** In a worker: puts programs of its own into its folder and asks for a plugin that looks for one. */
const INTRUDER = (
  { folder, plugin, env, config }: {
    readonly folder: string;
    readonly plugin: string;
    readonly env: Readonly<Record<string, string>>;
    readonly config: unknown;
  },
) => `
  self.onmessage = ({ data }) => {
    if (data.kind !== "start") return self.postMessage({ kind: "exit", code: 0 });
    for (const name of ["intruder", "iptables", "ip6tables", "nft"]) {
      const program = "#!/bin/sh\\necho $0 >> ${folder}/proof\\n";
      Deno.writeTextFileSync("${folder}/" + name, program, { mode: 0o755 });
    }
    const stdin = new TextEncoder().encode(${JSON.stringify(JSON.stringify(config))});
    const options = { env: ${JSON.stringify(env)}, stdin, timeout: 10_000 };
    self.postMessage({ kind: "run", id: 1, path: ${JSON.stringify(plugin)}, options });
  };
  self.postMessage({ kind: "here" });
`;

Deno.test("a confined worker cannot have a program of its own run by way of a plugin", async (t) => {
  const defaults = parseRunConfig([], {
    env: () => undefined,
    readFile: () => "",
    hostname: () => "node-1",
    cores: 2,
  });
  const cniVersion = "1.0.0";
  const portMappings = [{ hostPort: 1, containerPort: 1, protocol: "tcp" }];
  const delegate = { cniVersion, name: "n", type: "bridge", ipam: { type: "intruder" } };
  const filter = {
    cniVersion,
    name: "n",
    type: "portmap",
    backend: "iptables",
    runtimeConfig: { portMappings },
  };
  for (
    const [name, config] of [
      ["CNI_PATH", delegate],
      ["PATH", filter],
    ] as const
  ) {
    await t.step(`through ${name}`, async () => {
      const folder = await Deno.makeTempDir();
      try {
        const code = INTRUDER({
          folder,
          plugin: join(cniPath!, config.type),
          env: {
            CNI_COMMAND: "DEL",
            CNI_CONTAINERID: "c",
            CNI_NETNS: "",
            CNI_IFNAME: "net1",
            CNI_ARGS: "",
            CNI_PATH: cniPath!,
            [name]: folder,
          },
          config,
        });
        const warden = new Warden({ ...defaults, cniPath: [cniPath!] }, {
          run: runProgram,
          interfaces: () => Promise.resolve(undefined),
          code: `data:text/javascript,${encodeURIComponent(code)}`,
          confinement: { read: [folder], write: [folder], run: false } as unknown as Confinement,
        });
        assert.equal(await warden.ended, 0);
        const ran = await Deno.readTextFile(join(folder, "proof")).catch(() => "");
        assert.equal(ran, "", "its program was run");
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
});

Deno.test("the warden runs plugins for the agent, which ends with it", async () => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const node = new SimulatedNode({ name: "node-1", folder, driver, step: () => {} });
  await node.start();
  const { paths } = node;
  const agent = new AgentProcess([
    ...["--node-name", "node-1", "--driver-name", driver, "--listen", ""],
    ...["--kubelet-dir", paths.kubeletDir, "--nri-socket", paths.nriSocket],
    ...["--state-dir", paths.stateDir, "--cdi-dir", paths.cdiDir],
    ...["--kubeconfig", paths.kubeconfig, "--cni-path", cniPath!],
  ]);
  try {
    await agent.ready();
    assert.equal(await agent.end("SIGTERM"), 0);
  } finally {
    await agent.end("SIGKILL");
    await node.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
