/**
 * What needs the node's programs and kernel settings works in the DaemonSet as it comes, not
 * privileged, for plugins run in the node's root folder.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { IMAGE_FILE, IMAGE_NAME } from "../../deploy/image/build.ts";
import { installSessionLauncher, NOT_IN_ROOT } from "../../mod/cni/session_launcher.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { parseManifests } from "../../mod/manifests/manifests.ts";
import type { SimulatedNode } from "../../mod/simulator/node.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { DRIVER, entrypointWith, runIn, withContainer } from "../support/agent_container.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { Containerd } from "../support/containerd.ts";
import { agentPod } from "../support/deployment.ts";
import { installNft, packetFilter } from "../support/nft.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MANIFESTS = await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml"));

/** A pod whose network an administrator's DeviceClass says. */
/** Selects the device for networks whose configuration names the interface. */
const NO_INTERFACE = `device.driver == "${DRIVER}" && device.attributes["${DRIVER}"].type == "cni"`;

function podWith(name: string, parameters: Readonly<Record<string, unknown>>): string {
  const metadata = { name };
  const objects = [
    {
      apiVersion: "resource.k8s.io/v1",
      kind: "DeviceClass",
      metadata,
      spec: {
        // Not an interface that an earlier test has left.
        selectors: [{ cel: { expression: NO_INTERFACE } }],
        config: [{ opaque: { driver: DRIVER, parameters } }],
      },
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

const MACVLAN = { type: "macvlan", master: "eth0" };
const WITH_IPV6 = { ipam: { type: "static", addresses: [{ address: "fd00::2/64" }] } };

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
      config: list({ ...MACVLAN, ...WITH_IPV6 }),
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
        ...MACVLAN,
        ipam: { type: "static", addresses: [{ address: "10.22.0.2/24" }] },
      }, {
        type: "tuning",
        // What was before is kept in a folder that the plugin makes with mode 0600.
        mtu: 1400,
        sysctl: { "net.ipv4.conf.net1.arp_filter": "1", "net.core.somaxconn": "500" },
      }),
    },
    look: async (netns) => {
      assert.equal(await setting(netns, "ipv4/conf/net1/arp_filter"), "1");
      assert.equal(await setting(netns, "core/somaxconn"), "500");
      assert.match(await ip(["-n", netns, "link", "show", "net1"]), /mtu 1400/);
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

/** What containerd gives a container by itself, and Kubernetes takes away by `drop: [ALL]`. */
const DEFAULT_CAPABILITIES = [
  ...["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "SETGID", "SETUID", "SETFCAP"],
  ...["SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE", "NET_RAW"],
];

Deno.test("containerd's default seccomp profile lets plugins enter the node's root and pods' namespaces", async (t) => {
  const { capabilities } = agentPod(MANIFESTS).agent.securityContext;
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const launcher = await installSessionLauncher(folder);
  const [plugins] = await fetchCniPlugins();
  for (const config of [{ ...MACVLAN, ...WITH_IPV6 }, { type: "tap", ipam: {} }]) {
    const text = JSON.stringify({ cniVersion: "1.0.0", name: "net", ...config });
    await Deno.writeTextFile(join(folder, config.type), text);
  }
  // As systemd leaves it; a runtime refuses to propagate mounts of another.
  await ok("mount", ["--make-rshared", "/"]);
  const containerd = await Containerd.start({ version: "2.1", folder: join(folder, "containerd") });
  const ctr = (args: readonly string[]) =>
    runIn({
      program: "env",
      args: [
        ...[`PATH=${dirname(containerd.runc)}:${Deno.env.get("PATH")}`, containerd.ctr],
        ...["-a", containerd.paths.socket, "-n", "k8s.io", ...args],
      ],
    });
  const mount = (source: string, target: string, ...options: string[]) =>
    `--mount=type=bind,src=${source},dst=${target},options=${["rbind", ...options].join(":")}`;
  /** Runs a plugin as the agent's container has it run. */
  const plugin = (type: string, { id = type, ifName = type, add = capabilities!.add! } = {}) =>
    ctr([
      ...["run", "--rm", "--read-only", "--net-host", "--with-ns=pid:/proc/1/ns/pid", "--seccomp"],
      ...["--cgroup", `${containerd.cgroup}/${id}`, "--runc-binary", containerd.runc],
      ...DEFAULT_CAPABILITIES.filter((name) => !add.includes(name)).flatMap((name) => [
        "--cap-drop",
        `CAP_${name}`,
      ]),
      ...add.flatMap((name) => ["--cap-add", `CAP_${name}`]),
      ...[mount("/", "/host", "rslave", "rw"), mount(folder, "/state", "ro")],
      ...Object.entries({
        CNI_COMMAND: "ADD",
        CNI_CONTAINERID: "x",
        CNI_NETNS: "/var/run/netns/seccomp",
        CNI_IFNAME: ifName,
        CNI_PATH: plugins!,
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      }).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
      ...[IMAGE_NAME, id, "/state/launcher", "/host"],
      // ctr keeps the input open.
      ...["/bin/sh", "sh", "-c", `exec ${plugins}/${type} < ${folder}/${type}`],
    ]);
  try {
    assert.equal(launcher, join(folder, "launcher"));
    const imported = await ctr(["images", "import", IMAGE_FILE]);
    assert.equal(imported.code, 0, imported.err);
    await ip(["netns", "add", "seccomp"]);
    await t.step("with the capabilities of the DaemonSet", async () => {
      const { code, out, err } = await plugin("macvlan");
      assert.equal(code, 0, out + err);
      assert.match(await ip(["-n", "seccomp", "address", "show", "macvlan"]), /inet6 fd00::2\/64/);
    });
    await t.step("and opens /dev/net/tun there", async () => {
      const { code, out, err } = await plugin("tap");
      assert.equal(code, 0, out + err);
      assert.match(await ip(["-n", "seccomp", "-d", "link", "show", "tap"]), /tun type tap/);
    });
    await t.step("and not without SYS_CHROOT", async () => {
      const add = capabilities!.add!.filter((name) => name !== "SYS_CHROOT");
      assert.equal((await plugin("macvlan", { id: "without", add })).code, NOT_IN_ROOT);
    });
  } finally {
    await ip(["netns", "delete", "seccomp"]).catch(() => {});
    await containerd.stop();
    await ok("mount", ["--make-rprivate", "/"]);
    // As ip made it, for who looks at namespaces in it later.
    await ok("mount", ["--make-shared", "/run/netns"]);
    await Deno.remove(folder, { recursive: true });
  }
});

async function ok(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
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
