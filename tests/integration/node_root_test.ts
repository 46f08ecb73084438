/**
 * What needs the node's programs and kernel settings works in the DaemonSet as it comes, not
 * privileged, for plugins run in the node's root folder.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseManifests } from "../../mod/manifests/manifests.ts";
import type { SimulatedNode } from "../../mod/simulator/node.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { DRIVER, entrypointWith, withContainer } from "../support/agent_container.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { installNft, packetFilter } from "../support/nft.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MANIFESTS = await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml"));

/** A pod whose network an administrator's DeviceClass says. */
function podWith(name: string, parameters: Readonly<Record<string, unknown>>): string {
  const metadata = { name };
  const objects = [
    {
      apiVersion: "resource.k8s.io/v1",
      kind: "DeviceClass",
      metadata,
      spec: { config: [{ opaque: { driver: DRIVER, parameters } }] },
    },
    {
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceClaim",
      metadata,
      spec: { devices: { requests: [{ name: "net", exactly: { deviceClassName: name } }] } },
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: {
        containers: [{ name: "main", image: "none", resources: { claims: [{ name: "net" }] } }],
        resourceClaims: [{ name: "net", resourceClaimName: name }],
      },
    },
  ];
  return objects.map((object) => JSON.stringify(object)).join("\n---\n");
}

const list = (...plugins: readonly Record<string, unknown>[]) => ({
  cniVersion: "1.0.0",
  name: "net",
  plugins,
});

const BRIDGE = {
  type: "bridge",
  bridge: "br-net",
  isGateway: true,
  ipam: {
    type: "host-local",
    ranges: [[{ subnet: "10.20.0.0/24" }]],
    routes: [{ dst: "192.0.2.0/24" }],
  },
};

async function inPod(netns: string, ...command: readonly string[]): Promise<string> {
  return await ip(["netns", "exec", netns, ...command]);
}

const setting = async (netns: string, name: string) =>
  (await inPod(netns, "cat", `/proc/sys/net/${name}`)).trim();

interface Case {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly look: (netns: string) => Promise<void>;
  /** What must be as before once the pod has gone. */
  readonly gone?: () => Promise<void>;
}

const CASES: Readonly<Record<string, Case>> = {
  "ipv6": {
    parameters: {
      config: list({
        type: "macvlan",
        master: "eth0",
        ipam: { type: "static", addresses: [{ address: "fd00::2/64" }] },
      }),
    },
    look: async (netns) => {
      assert.match(await ip(["-n", netns, "-6", "address", "show", "net1"]), /inet6 fd00::2\/64/);
      // What the plugin writes there, and a read-only /proc/sys refuses.
      assert.equal(await setting(netns, "ipv6/conf/net1/keep_addr_on_down"), "1");
    },
  },
  "gateway": {
    parameters: { config: list({ ...BRIDGE, ipMasq: true, ipMasqBackend: "nftables" }) },
    look: async (netns) => {
      assert.equal((await leases("/var/lib/cni/networks/net")).length, 1);
      assert.match(await ip(["address", "show", "br-net"]), /inet 10\.20\.0\.1\/24/);
      assert.equal(await Deno.readTextFile("/proc/sys/net/ipv4/ip_forward"), "1\n");
      assert.match(await packetFilter(), /ip saddr 10\.20\.0\.\d+ .*masquerade/);
      assert.match(await ip(["-n", netns, "route", "get", "192.0.2.10"]), /via 10\.20\.0\.1/);
    },
    gone: async () => assert.doesNotMatch(await packetFilter(), /10\.20\.0/),
  },
  "portmap": {
    parameters: {
      kind: "Network",
      apiVersion: `${DRIVER}/v1alpha1`,
      config: list(BRIDGE, {
        type: "portmap",
        backend: "nftables",
        capabilities: { portMappings: true },
      }),
      capabilities: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
    },
    look: async (netns) => {
      assert.match(await packetFilter(), /tcp dport 8080 dnat to 10\.20\.0\.\d+:80/);
      assert.equal(await answerThrough(netns, { hostname: "192.0.2.10", port: 8080 }), "served");
    },
    gone: async () => assert.doesNotMatch(await packetFilter(), /8080/),
  },
  "tap": {
    parameters: {
      config: list({
        type: "tap",
        ipam: { type: "static", addresses: [{ address: "10.21.0.2/24" }] },
      }),
    },
    look: async (netns) => {
      const shown = await ip(["-n", netns, "-d", "address", "show", "net1"]);
      assert.match(shown, /tun type tap/);
      assert.match(shown, /inet 10\.21\.0\.2\/24/);
    },
  },
  "sysctl": {
    parameters: {
      config: list({
        type: "macvlan",
        master: "eth0",
        ipam: { type: "static", addresses: [{ address: "10.22.0.2/24" }] },
      }, {
        type: "tuning",
        sysctl: { "net.ipv4.conf.net1.arp_filter": "1", "net.core.somaxconn": "500" },
      }),
    },
    look: async (netns) => {
      assert.equal(await setting(netns, "ipv4/conf/net1/arp_filter"), "1");
      assert.equal(await setting(netns, "core/somaxconn"), "500");
    },
  },
};

/** What a server in the pod is asked for from the node. */
async function answerThrough(netns: string, address: Deno.ConnectOptions): Promise<string> {
  const server = new Deno.Command("ip", {
    args: [
      ...["netns", "exec", netns, Deno.execPath(), "eval", "--quiet"],
      'const listener = Deno.listen({ port: 80 }); console.log("listens");' +
      "const connection = await listener.accept();" +
      'await connection.write(new TextEncoder().encode("served")); connection.close();',
    ],
    stdout: "piped",
  }).spawn();
  const reader = server.stdout.getReader();
  try {
    await reader.read();
    using connection = await Deno.connect(address);
    const buffer = new Uint8Array(16);
    return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  } finally {
    await reader.cancel();
    await server.status;
  }
}

Deno.test("plugins in the node's root have its programs and its kernel settings", async (t) => {
  const linksBefore = await linkNames();
  await using _nft = await installNft();
  await withContainer(MANIFESTS, async ({ node, make, args }) => {
    const agent = new AgentProcess([], make().command(...entrypointWith(args)));
    try {
      await agent.ready();
      await published(node);
      for (const [name, { parameters, look, gone }] of Object.entries(CASES)) {
        await t.step(name, async () => {
          await node.run(parseManifests(podWith(name, parameters), name));
          const [netns] = (await ip(["netns", "list"])).split(/[\s(]/);
          await look(netns!);
          await node.drain();
          await gone?.();
          // Leases are on the node, and freed.
          assert.deepEqual(await leases("/var/lib/cni/networks/net"), []);
          await ip(["link", "delete", "br-net"]).catch(() => {});
          assert.deepEqual(await linkNames(), linksBefore);
        });
      }
      assert.equal(await agent.end("SIGTERM"), 0);
    } catch (error) {
      throw new Error(agent.log, { cause: error });
    } finally {
      await agent.end("SIGKILL");
    }
  });
});

async function published(node: SimulatedNode): Promise<void> {
  for (let tries = 0; tries < 400 && node.api.slices.devices().length === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function linkNames(): Promise<string[]> {
  const links = JSON.parse(await ip(["-j", "link", "show"])) as { readonly ifname: string }[];
  return links.map(({ ifname }) => ifname);
}

/** The addresses that are given. */
async function leases(folder: string): Promise<string[]> {
  try {
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
    return names.filter((name) => /^[0-9a-f.:]+$/.test(name));
  } catch {
    return [];
  }
}
