/**
 * Plugins that need the node's programs and kernel settings, run by a DaemonSet that is not privileged
 * (pluginRoot: node). An administrator's DeviceClass says what claims may not.
 */
import assert from "node:assert/strict";
import { ip } from "../../../mod/simulator/private_node.ts";
import { installNft, packetFilter } from "../../support/nft.ts";
import { agentOf } from "../agents/daemonset_agent.ts";
import type { Json } from "../api.ts";
import { claimWith, deviceClass, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

const list = (...plugins: readonly Record<string, unknown>[]) => ({
  cniVersion: "1.0.0",
  name: "net",
  plugins,
});

const onEth0 = (address: string) => ({
  type: "macvlan",
  master: "eth0",
  ipam: { type: "static", addresses: [{ address }] },
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

/** A pod whose network the DeviceClass says; it serves on port 80. */
async function runWith(space: Space, parameters: unknown): Promise<Json> {
  const requests = [{ name: "net", exactly: { deviceClassName: "special" } }];
  const command = ["sh", "-c", "while :; do echo served | /bin/busybox nc -l -p 80; done"];
  await space.apply(
    deviceClass({ name: "special", parameters }),
    claimWith("net", { devices: { requests } }),
    pod("one", { claims: ["net"], command }),
  );
  const running = await space.running("one");
  await space.networksOf(running);
  return running;
}

const setting = async (space: Space, running: Json, path: string) =>
  (await space.exec(running, "cat", `/proc/sys/net/${path}`)).trim();

/** Runs with nft on the node; the packet filter is as before afterwards, and the bridge is removed. */
function withFilter(body: Case): Case {
  return async (space) => {
    await using _nft = await installNft();
    const before = await packetFilter();
    await body(space);
    await space.clear();
    assert.doesNotMatch(await packetFilter(), /10\.20\.0\.|8080/, before);
    await ip(["link", "delete", "br-net"]);
  };
}

export const NODE_ROOT: Readonly<Record<string, Case>> = {
  "the agent's container is not privileged": async ({ cluster }) => {
    const [{ spec: { containers: [container] } }] = await agentOf(cluster).pods() as [Json];
    const { privileged, allowPrivilegeEscalation, capabilities } = container.securityContext;
    assert.ok(!privileged);
    assert.equal(allowPrivilegeEscalation, false);
    assert.deepEqual(capabilities.drop, ["ALL"]);
  },

  "IPv6, for which the plugin writes a kernel setting": async (space) => {
    const running = await runWith(space, { config: list(onEth0("fd00::2/64")) });
    assert.match(await space.exec(running, "ip", "addr", "show", "net1"), /inet6 fd00::2\/64/);
    assert.equal(await setting(space, running, "ipv6/conf/net1/keep_addr_on_down"), "1");
  },

  "tuning of kernel settings": async (space) => {
    const sysctl = { "net.ipv4.conf.net1.arp_filter": "1", "net.core.somaxconn": "500" };
    const config = list(onEth0("10.22.0.2/24"), { type: "tuning", sysctl });
    const running = await runWith(space, { config });
    assert.equal(await setting(space, running, "ipv4/conf/net1/arp_filter"), "1");
    assert.equal(await setting(space, running, "core/somaxconn"), "500");
  },

  "tap": async (space) => {
    const ipam = { type: "static", addresses: [{ address: "10.21.0.2/24" }] };
    const running = await runWith(space, { config: list({ type: "tap", ipam }) });
    assert.match(await space.exec(running, "ip", "addr", "show", "net1"), /inet 10\.21\.0\.2\/24/);
    // Only a tap or tun interface has the file.
    assert.match(await space.exec(running, "cat", "/sys/class/net/net1/tun_flags"), /^0x\d+2$/m);
  },

  "a bridge with a gateway and masquerading": withFilter(async (space) => {
    const config = list({ ...BRIDGE, ipMasq: true, ipMasqBackend: "nftables" });
    const running = await runWith(space, { config });
    assert.match(await ip(["address", "show", "br-net"]), /inet 10\.20\.0\.1\/24/);
    assert.match(await packetFilter(), /ip saddr 10\.20\.0\.\d+ .*masquerade/);
    await space.exec(running, "ping", "-c", "1", "-w", "8", "192.0.2.10");
  }),

  "portmap of a node's port": withFilter(async (space) => {
    await runWith(space, {
      kind: "Network",
      apiVersion: "dra.networking/v1alpha1",
      config: list(BRIDGE, {
        type: "portmap",
        backend: "nftables",
        capabilities: { portMappings: true },
      }),
      capabilities: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
    });
    assert.match(await packetFilter(), /tcp dport 8080 dnat to 10\.20\.0\.\d+:80/);
    assert.equal(await until("the node's port is served", answer, { limit: 10_000 }), "served\n");
  }),

  "pluginRoot: container, for nodes whose root no pod may see": async (space) => {
    const agent = agentOf(space.cluster);
    await agent.install({ pluginRoot: "container" });
    try {
      const running = await runWith(space, { config: list(onEth0("10.23.0.2/24")) });
      assert.match(await space.exec(running, "ip", "addr", "show", "net1"), /10\.23\.0\.2/);
      await space.clear();
    } finally {
      await agent.install();
    }
  },
};

async function answer(): Promise<string | undefined> {
  try {
    using connection = await Deno.connect({ hostname: "192.0.2.10", port: 8080 });
    const buffer = new Uint8Array(16);
    return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  } catch {
    return undefined;
  }
}
