/** The agent in a container as deploy/ describes it: the image's root, the mounts, the capabilities. */
import assert from "node:assert/strict";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { parseManifests } from "../../mod/manifests/manifests.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import {
  DRIVER,
  entrypointWith as program,
  runIn as run,
  withContainer,
} from "../support/agent_container.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { agentPod } from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MANIFESTS = await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml"));
Deno.test("the agent's pod attaches demo-a's network with nothing but the image", async (t) => {
  await withContainer(MANIFESTS, async ({ node, make, args }) => {
    const container = make();
    await t.step("version", async () => {
      const { code, out, err } = await run(container.command(...program(["version"])));
      assert.deepEqual({ code, out, err }, { code: 0, out: `${config.version}\n`, err: "" });
    });
    await t.step("wrong usage", async () => {
      const { code, err } = await run(container.command(...program(["run", "--bogus"])));
      assert.equal(code, 2);
      assert.match(err, /network-dra run: unknown flag --bogus\n/);
    });
    const { agent } = agentPod(MANIFESTS);
    const [probe, ...probeArgs] = agent.startupProbe.exec.command;
    const startup = () => run(container.command(probe!, probeArgs));
    await t.step("the startup probe fails before the agent serves", async () => {
      const { code, err } = await startup();
      assert.equal(code, 1);
      assert.match(err, /no agent serves .*4f1c5a1e-.*\.sock yet/);
    });
    const process = new AgentProcess([], container.command(...program(args)));
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

const helm = await fetchHelmRender();

Deno.test({
  name:
    `plugins in the agent's own root get what they need: capabilities, kernel settings when privileged${
      "missing" in helm ? ` (not run: ${helm.missing})` : ""
    }`,
  ignore: "missing" in helm,
  fn: inOwnRoot,
});

async function inOwnRoot(t: Deno.TestContext): Promise<void> {
  assert.ok("path" in helm);
  const manifests = await renderChart(helm.path, { pluginRoot: "container" });
  const { securityContext } = agentPod(manifests).agent;
  const without = (left: string) => {
    const { drop, add } = securityContext.capabilities!;
    return {
      ...securityContext,
      capabilities: { drop, add: add!.filter((capability) => capability !== left) },
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
  await withContainer(manifests, async ({ make }) => {
    await ip(["netns", "add", "pod"]);
    const cni = { CNI_CONTAINERID: "x", CNI_NETNS: "/var/run/netns/pod", CNI_IFNAME: "net1" };
    try {
      for (const [name, address, securityContext, refusal] of cases) {
        await t.step(`${name}: ${refusal ? "refused" : "attached"}`, async () => {
          const env = { ...cni, CNI_COMMAND: "ADD", CNI_PATH: "/opt/cni/bin" };
          const container = make({ securityContext, env });
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
}

async function interfaces(netns: string): Promise<string[]> {
  const links = JSON.parse(await ip(["-n", netns, "-j", "link", "show"])) as { ifname: string }[];
  return links.map(({ ifname }) => ifname);
}

Deno.test({
  name: `the init container installs plugins without any capability${
    "missing" in helm ? ` (not run: ${helm.missing})` : ""
  }`,
  ignore: "missing" in helm,
  fn: installs,
});

async function installs(): Promise<void> {
  assert.ok("path" in helm);
  const node = "/run/plugins-of-the-node";
  const manifests = await renderChart(helm.path, {
    cniPath: node,
    cniPlugins: { install: true, image: "plugins", path: "/usr/lib/cni" },
  });
  const [init] = agentPod(manifests).pod.initContainers!;
  const [folder] = await fetchCniPlugins();
  await Deno.mkdir(node);
  try {
    await Deno.writeTextFile(join(node, "bridge"), "someone else's", { mode: 0o755 });
    await withContainer(manifests, async ({ make }) => {
      const container = make({ other: { container: init!, content: join(folder!, "../../..") } });
      const { code, out, err } = await run(container.command(...program(init!.args)));
      assert.deepEqual([code, err], [0, ""]);
      assert.match(out, /^added: bandwidth, .*macvlan.*\nkept, because someone else .*: bridge\n$/);
      assert.equal(await Deno.readTextFile(join(node, "bridge")), "someone else's");
      const macvlan = await new Deno.Command(join(node, "macvlan"), {
        env: { CNI_COMMAND: "VERSION" },
      }).output();
      assert.match(new TextDecoder().decode(macvlan.stdout), /supportedVersions/);
    });
  } finally {
    await Deno.remove(node, { recursive: true });
  }
}
