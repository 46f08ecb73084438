/**
 * The agent in a container as deploy/ describes it: the root folder of the image, the mounts, the
 * capabilities. What runs is Deno with the bundle that the image's executable holds: `deno compile`
 * needs a base runtime that not every machine can have.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { parseManifests } from "../../mod/manifests/manifests.ts";
import { SimulatedNode } from "../../mod/simulator/node.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { agentArguments, AgentProcess } from "../support/agent_process.ts";
import { Container, type ContainerCommand } from "../support/container.ts";
import { type AgentContainer, agentPod } from "../support/deployment.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MANIFESTS = await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml"));
const DRIVER = "dra.networking";
const BUNDLE = "/app/network-dra.js";
const [pluginFolder] = await fetchCniPlugins();

async function build(): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "build"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function run(
  { program, args }: ContainerCommand,
  input = "",
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const child = new Deno.Command(program, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // Who does not read its input may have ended already.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

/** Runs with a node whose kubelet folder is where most nodes have it, and a container on it. */
async function withContainer(
  body: (parts: {
    readonly node: SimulatedNode;
    readonly make: (options: {
      readonly securityContext?: AgentContainer["securityContext"];
      readonly env?: Readonly<Record<string, string>>;
    }) => Promise<Container>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const node = new SimulatedNode({ name: "node-1", folder, driver: DRIVER, step: () => {} });
  await node.start();
  for (const path of [`kubelet/plugins/${DRIVER}`, "state", "cdi", "config", "leases"]) {
    await Deno.mkdir(join(folder, path), { recursive: true });
  }
  for (const path of ["/run/netns", "/run/cni"]) {
    await Deno.mkdir(path, { recursive: true });
  }
  await Deno.writeTextFile(join(folder, "config/config.yaml"), "{}\n");
  await Deno.symlink(node.paths.kubeletDir, "/var/lib/kubelet");
  // The agent tells the runtime of files in it.
  await Deno.symlink(node.paths.cdiDir, "/var/run/cdi");
  // As systemd leaves it: what is mounted there later reaches those who have it mounted.
  await mount("--make-shared", "/run");
  const places: Readonly<Record<string, string>> = {
    "/var/run/nri": folder,
    "/var/run/cdi": node.paths.cdiDir,
    "/var/lib/network-dra": node.paths.stateDir,
    "/opt/cni/bin": pluginFolder!,
    // Apart from that of the other tests: host-local goes on after the last address it gave.
    "/var/lib/cni": join(folder, "leases"),
  };
  const { pod, agent } = agentPod(MANIFESTS);
  try {
    await body({
      node,
      make: async ({ securityContext = agent.securityContext, env = {} }) =>
        await Container.create({
          root: await Deno.makeTempDir({ dir: folder, prefix: "root-" }),
          pod,
          agent: { ...agent, securityContext },
          node: (path) => places[path] ?? path,
          config: join(folder, "config"),
          // The simulated API server takes no ServiceAccount; its kubeconfig lies beside the runtime's socket.
          env: {
            HOME: "/root",
            NODE_NAME: "node-1",
            POD_UID: "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55",
            KUBECONFIG: "/var/run/nri/kubeconfig",
            ...env,
          },
        }, { "/app/deno": Deno.execPath(), [BUNDLE]: join(ROOT, "dist/network-dra.js") }),
    });
  } finally {
    await mount("--make-private", "/run");
    await node.stop();
    await Deno.remove("/var/lib/kubelet");
    await Deno.remove("/var/run/cdi");
    await Deno.remove(folder, { recursive: true });
  }
}

async function mount(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** The agent's program in the container, with its permissions. */
function program(args: readonly string[]): [string, string[]] {
  const flags = agentArguments().slice(0, -2);
  return ["/app/deno", [...flags, "--no-config", "--no-lock", "--cached-only", BUNDLE, ...args]];
}

Deno.test("the agent's pod attaches demo-a's network with the image's libraries alone", async (t) => {
  await build();
  await withContainer(async ({ node, make }) => {
    const container = await make({});
    await t.step("version", async () => {
      const { code, out, err } = await run(container.command(...program(["version"])));
      assert.deepEqual({ code, out, err }, { code: 0, out: `${config.version}\n`, err: "" });
    });
    await t.step("wrong usage", async () => {
      const { code, err } = await run(container.command(...program(["run", "--bogus"])));
      assert.equal(code, 2);
      assert.match(err, /'--bogus'/);
    });
    const { agent } = agentPod(MANIFESTS);
    const [, ...probe] = agent.startupProbe.exec.command;
    const startup = () => run(container.command(...program(probe)));
    await t.step("the startup probe fails before the agent serves", async () => {
      const { code, err } = await startup();
      assert.equal(code, 1);
      assert.match(err, /no agent serves .*4f1c5a1e-.*\.sock yet/);
    });
    const process = new AgentProcess([], container.command(...program(agent.args)));
    try {
      await process.ready();
      await t.step("the probes are answered", async () => {
        assert.deepEqual(await startup(), { code: 0, out: "", err: "" });
        for (const { httpGet } of [agent.livenessProbe, agent.readinessProbe]) {
          const { host, port, path } = httpGet;
          const response = await fetch(`http://${host}:${port}${path}`);
          assert.equal(response.status, 200, await response.text());
        }
      });
      await t.step(
        "the node's interfaces are published, though there is no program to read them",
        async () => {
          const found = () => node.api.slices.devices().map(({ name }) => name);
          for (let tries = 0; tries < 200 && found().length === 0; tries++) {
            await new Promise((resolve) => setTimeout(resolve, 25));
          }
          assert.ok(["cni", "eth0", "uplink"].every((name) => found().includes(name)), process.log);
        },
      );
      await t.step("a pod that comes later gets its interface", async () => {
        const demo = await Deno.readTextFile(join(ROOT, "examples/demo-a/demo-a.yaml"));
        await node.run(parseManifests(demo.replaceAll("poc.dra.networking", DRIVER), "demo-a"));
        const [namespace] = (await ip(["netns", "list"])).split(/[\s(]/);
        const shown = JSON.parse(await ip(["-n", namespace!, "-j", "address", "show", "net1"]));
        assert.equal(shown[0].addr_info[0].local, "10.10.1.2");
      });
      await t.step("and it goes with the pod", async () => {
        await node.drain();
        assert.equal((await ip(["netns", "list"])).trim(), "");
      });
      assert.equal(await process.end("SIGTERM"), 0);
    } catch (error) {
      throw new Error(process.log, { cause: error });
    } finally {
      await process.end("SIGKILL");
    }
  });
});

/** A macvlan on the node's eth0 with an address that the configuration names. */
const withAddress = (address: string) =>
  JSON.stringify({
    cniVersion: "1.0.0",
    name: "lan",
    type: "macvlan",
    master: "eth0",
    ipam: { type: "static", addresses: [{ address }] },
  });

Deno.test("plugins get what they need: capabilities as deployed, kernel settings when privileged", async (t) => {
  await build();
  const { securityContext } = agentPod(MANIFESTS).agent;
  const without = (left: string) => {
    const { drop, add } = securityContext.capabilities!;
    return {
      ...securityContext,
      capabilities: { drop, add: add.filter((capability) => capability !== left) },
    };
  };
  const privileged = { privileged: true, readOnlyRootFilesystem: true };
  const cases = [
    ["IPv4 as deployed", "10.10.1.2/24", securityContext, undefined],
    ["IPv4 without SYS_ADMIN", "10.10.1.2/24", without("SYS_ADMIN"), /not permitted/],
    ["IPv4 without NET_ADMIN", "10.10.1.2/24", without("NET_ADMIN"), /not permitted/],
    ["IPv6 as deployed", "fd00::2/64", securityContext, /\/proc\/sys\/net\/\S+: read-only/],
    ["IPv6 privileged", "fd00::2/64", privileged, undefined],
  ] as const;
  await withContainer(async ({ make }) => {
    await ip(["netns", "add", "pod"]);
    const cni = { CNI_CONTAINERID: "x", CNI_NETNS: "/var/run/netns/pod", CNI_IFNAME: "net1" };
    try {
      for (const [name, address, securityContext, refusal] of cases) {
        await t.step(`${name}: ${refusal ? "refused" : "attached"}`, async () => {
          const env = { ...cni, CNI_COMMAND: "ADD", CNI_PATH: "/opt/cni/bin" };
          const container = await make({ securityContext, env });
          const command = container.command("/opt/cni/bin/macvlan");
          const { code, out, err } = await run(command, withAddress(address));
          if (refusal) assert.match(out, refusal, err);
          else assert.equal(code, 0, out + err);
          // A plugin that fails late leaves its interface; DEL, which is not the matter here, would follow.
          if ((await interfaces("pod")).includes("net1")) {
            await ip(["-n", "pod", "link", "delete", "net1"]);
          }
        });
      }
    } finally {
      await ip(["netns", "delete", "pod"]);
    }
  });
});

async function interfaces(netns: string): Promise<string[]> {
  const links = JSON.parse(await ip(["-n", netns, "-j", "link", "show"])) as { ifname: string }[];
  return links.map(({ ifname }) => ifname);
}
