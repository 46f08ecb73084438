/** A node with networks worth attacking, and the agent on it. */
import { create } from "@bufbuild/protobuf";
import { join } from "node:path";
import { stringify } from "yaml";
import { ContainerSchema, type PodSandbox, PodSandboxSchema } from "../../proto/gen/nri/nri_pb.ts";
import type { ClaimRef } from "../../mod/claim/attachment.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { clearPacketFilter, installNft, packetFilter } from "./nft.ts";
import { AgentProcess } from "./agent_process.ts";

export const DRIVER = "dra.networking";

/** Addresses of the furnished node. */
export const NODE_ADDRESS = "192.0.2.10";
export const ROUTER_ADDRESS = "192.0.2.1";

/** What a file holds that no pod should read. */
export const SECRET = "nameserver 203.0.113.77\n";

/** A plugin that does on the node what its configuration says. */
const TRAP = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
ADD) cat >"$(dirname "$0")/../sprung-$(basename "$0")"; echo '{"cniVersion":"1.0.0"}' ;;
esac
`;

export interface Asked {
  /** `tenant` where none is named. */
  readonly namespace?: string;
  /** The device that the scheduler gave. */
  readonly device: string;
  readonly parameters: unknown;
}

/** What there is on the node. */
export interface NodeState {
  /** By name. */
  readonly links: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly settings: Readonly<Record<string, string>>;
  readonly filter: string;
  /** Path and content. */
  readonly files: Readonly<Record<string, string>>;
}

export class AttackBench {
  readonly #api = new SimulatedApiServer();
  readonly #kubelet: SimulatedKubelet;
  readonly #runtime: NriRuntime;
  /** The pods that run. */
  readonly #sandboxes = new Set<PodSandbox>();
  readonly #folder: string;
  #agent!: AgentProcess;
  readonly #socket: Deno.UnixListener;
  readonly #nft: AsyncDisposable;
  #pods = 0;
  #pristine: NodeState | undefined;
  /** How often someone has come to the socket that is no DHCP daemon's. */
  #visits = 0;

  private constructor(folder: string, nft: AsyncDisposable) {
    this.#folder = folder;
    this.#nft = nft;
    this.#kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    this.#runtime = new NriRuntime({
      socketPath: join(folder, "nri.sock"),
      inventory: () => ({ pods: [...this.#sandboxes], containers: [] }),
    });
    this.#socket = Deno.listen({ transport: "unix", path: join(folder, "victim/socket") });
    void this.#count();
  }

  /** @param networks the administrator's networks */
  static async start(
    policy: Record<string, unknown>,
    networks: readonly Record<string, unknown>[] = [],
  ): Promise<AttackBench> {
    const folder = await Deno.makeTempDir({ dir: "/run", prefix: "attack-" });
    await furnish();
    for (const name of ["victim", "plugins", "networks"]) await Deno.mkdir(join(folder, name));
    await Deno.writeTextFile(join(folder, "victim/secret"), SECRET);
    for (const name of ["calico", "multus", "sriov", "ovs", "whereabouts"]) {
      await Deno.writeTextFile(join(folder, "plugins", name), TRAP, { mode: 0o755 });
    }
    for (const network of networks) {
      const file = join(folder, "networks", `${network.name}.conflist`);
      await Deno.writeTextFile(file, JSON.stringify(network));
    }
    const bench = new AttackBench(folder, await installNft());
    bench.#api.start();
    bench.#api.addNode("node-1");
    await Deno.writeTextFile(join(folder, "kubeconfig"), bench.#api.kubeconfig());
    bench.#runtime.start();
    await bench.#kubelet.start();
    await bench.startAgent(policy);
    return bench;
  }

  /** Starts the agent, in place of the one that runs. */
  async startAgent(policy: Record<string, unknown>): Promise<void> {
    await this.#agent?.end();
    const folder = this.#folder;
    const config = join(folder, "config.yaml");
    const interfaces = { exclude: ["eth9"] };
    const settings = { policy, interfaces, networkDir: join(folder, "networks") };
    await Deno.writeTextFile(config, stringify(settings));
    const [cniPath] = await fetchCniPlugins();
    this.#agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", DRIVER, "--config", config],
      ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
      ...["--state-dir", join(folder, "state"), "--cdi-dir", join(folder, "cdi")],
      ...["--kubeconfig", join(folder, "kubeconfig"), "--listen", ""],
      ...["--cni-path", `${join(folder, "plugins")}:${cniPath}`],
    ]);
    await this.#agent.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#agent.end();
    await this.#kubelet.stop();
    this.#runtime.stop();
    await this.#api.stop();
    await unfurnish();
    await clearPacketFilter();
    await this.#nft[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** The folder that no pod should reach. */
  get victim(): string {
    return join(this.#folder, "victim");
  }

  /** As at the start. */
  async renew(): Promise<void> {
    if (this.#pristine && equal(await this.state(), this.#pristine)) return;
    await furnish();
    await clearPacketFilter();
    for await (const { name } of Deno.readDir(this.#folder)) {
      if (name.startsWith("sprung-")) await Deno.remove(join(this.#folder, name));
    }
    for await (const { name } of Deno.readDir(this.victim)) {
      if (["secret", "socket"].includes(name)) continue;
      await Deno.remove(join(this.victim, name), { recursive: true });
    }
    await this.#until("the node's interfaces are published", () => {
      const shown = this.#api.slices.devices();
      return ["eth0", "eth1"].every((name) =>
        shown.some((device) => device.name === name && !device.taints)
      );
    });
    this.#pristine = await this.state();
  }

  /** A claim that the scheduler has allocated, prepared as the kubelet does: the error, or empty. */
  async prepare({ device, parameters, namespace = "tenant" }: Asked) {
    const number = ++this.#pods;
    const pod = { name: `pod-${number}`, uid: `uid-${number}` };
    const name = `claim-${number}`;
    const stored = this.#api.put({
      metadata: {
        name,
        namespace,
        ownerReferences: [{ kind: "Pod", ...pod, controller: true }],
      },
      status: {
        allocation: {
          devices: {
            results: [{ request: "net", driver: DRIVER, pool: "node-1", device }],
            config: [{
              source: "FromClaim",
              requests: ["net"],
              opaque: { driver: DRIVER, parameters },
            }],
          },
        },
        reservedFor: [{ resource: "pods", ...pod }],
      },
    });
    const claim = { namespace, name, uid: stored.metadata.uid };
    return { error: await this.prepareAgain(claim), claim, pod };
  }

  async prepareAgain(claim: ClaimRef): Promise<string> {
    await this.#kubelet.registered(DRIVER);
    const answers = await this.#kubelet.prepare(DRIVER, [claim]);
    return answers[claim.uid]?.error ?? "no answer";
  }

  /** Runs a pod with what is asked, calls back while it runs, and removes it. */
  async run(asked: Asked, look: (seen: Seen) => Promise<void>): Promise<void> {
    const { error, claim, pod } = await this.prepare(asked);
    if (error) throw new Error(error);
    const before = await this.state();
    await ip(["netns", "add", pod.name]);
    await ip(["-n", pod.name, "link", "set", "lo", "up"]);
    const sandbox = create(PodSandboxSchema, {
      id: `sandbox-${pod.name}`,
      ...pod,
      namespace: claim.namespace,
      linux: { namespaces: [{ type: "network", path: `/var/run/netns/${pod.name}` }] },
    });
    this.#sandboxes.add(sandbox);
    try {
      await this.#runtime.runPodSandbox(sandbox);
      const container = create(ContainerSchema, {
        id: `container-${pod.name}`,
        podSandboxId: sandbox.id,
        name: "main",
      });
      const failure = await this.#runtime.createContainer(sandbox, container).then(
        () => undefined,
        (error: Error) => error.message,
      );
      const inPod = JSON.parse(await ip(["-n", pod.name, "-d", "-j", "address", "show"]));
      const control = "/proc/sys/net/ipv4/tcp_congestion_control";
      const congestion = (await ip(["netns", "exec", pod.name, "cat", control])).trim();
      const after = await this.state();
      await look({
        before,
        after,
        failure,
        pod: inPod,
        congestion,
        victim: this.victim,
        ref: claim,
        claim: async () => {
          await this.#until(
            "the claim has a status",
            () => (this.#api.get(claim.namespace, claim.name)?.status?.devices ?? []).length > 0,
          );
          return this.#api.get(claim.namespace, claim.name)!.status!.devices![0]!;
        },
      });
    } finally {
      this.#sandboxes.delete(sandbox);
      await this.#runtime.stopPodSandbox(sandbox);
      await this.#kubelet.unprepare(DRIVER, [claim]);
      await ip(["netns", "delete", pod.name]);
    }
  }

  /** Resolves when each of the objects has the event that policy refused it. */
  async told(objects: readonly string[]): Promise<void> {
    await this.#until(`${objects} are told`, () => {
      const told = this.#api.events.all()
        .filter(({ reason }) => reason === "NetworkRefusedByPolicy")
        .map(({ involvedObject: { kind, name } }) => `${kind}/${name}`);
      return objects.every((object) => told.includes(object));
    });
  }

  async state(): Promise<NodeState> {
    const links = JSON.parse(await ip(["-d", "-j", "link", "show"])) as Record<string, unknown>[];
    const addresses = JSON.parse(await ip(["-j", "address", "show"])) as {
      ifname: string;
      addr_info: { local: string; prefixlen: number }[];
    }[];
    const files: Record<string, string> = {};
    for (const folder of ["/var/lib/cni", this.#folder]) await readTree(folder, files);
    const visits = `${this.#visits}`;
    return {
      links: Object.fromEntries(links.map((link) => [link.ifname, lasting(link)])),
      addresses: addresses.flatMap(({ ifname, addr_info }) =>
        addr_info.map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`)
      ).filter((line) => !line.includes(" fe80:")).toSorted(),
      routes: await routes(),
      settings: { ...await settings(links.map(({ ifname }) => ifname as string)), visits },
      filter: await packetFilter(),
      files,
    };
  }

  async #count(): Promise<void> {
    for await (const visitor of this.#socket) {
      this.#visits++;
      visitor.close();
    }
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    for (let tries = 0; !holds(); tries++) {
      if (tries > 500) throw new Error(`it does not come to be that ${what}\n${this.#agent.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** What an attack that was let through has done. */
export interface Seen {
  readonly before: NodeState;
  /** While the pod runs. */
  readonly after: NodeState;
  /** Why the pod does not run. */
  readonly failure: string | undefined;
  /** The pod's interfaces with their addresses, as `ip` shows them. */
  // deno-lint-ignore no-explicit-any -- as printed
  readonly pod: readonly any[];
  /** How the pod's namespace controls congestion. */
  readonly congestion: string;
  readonly victim: string;
  readonly ref: ClaimRef;
  /** The claim's status.devices[0]. */
  // deno-lint-ignore no-explicit-any -- as stored
  readonly claim: () => Promise<any>;
}

function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The node's own links; those of cni0 are the cluster network's. */
async function furnish(): Promise<void> {
  await unfurnish();
  for (const name of ["eth1", "eth9"]) {
    await ip(["link", "add", name, "type", "veth", "peer", "name", `${name}-peer`]);
    for (const end of [name, `${name}-peer`]) await ip(["link", "set", end, "up"]);
  }
  for (const name of ["cni0", "br-lan", "br-mgmt"]) {
    await ip(["link", "add", name, "type", "bridge"]);
    await ip(["link", "set", name, "up"]);
  }
  await ip(["address", "add", "10.244.0.1/24", "dev", "cni0"]);
  await ip(["address", "add", "198.51.100.2/24", "dev", "br-mgmt"]);
  await ip(["address", "replace", "203.0.113.10/24", "dev", "eth9"]);
  await ip(["address", "replace", `${NODE_ADDRESS}/24`, "dev", "eth0"]);
  await ip(["link", "set", "eth0", "up"]);
  await ip(["route", "replace", "default", "via", "203.0.113.1", "dev", "eth9"]);
  // By now the kernel has given what it gives to links that go up.
  await new Promise((resolve) => setTimeout(resolve, 300));
}

async function unfurnish(): Promise<void> {
  const links = JSON.parse(await ip(["-j", "link", "show"])) as { ifname: string }[];
  const own = ["lo", "eth0", "uplink"];
  for (const { ifname } of links.filter((link) => !own.includes(link.ifname))) {
    // The other end of one that is gone already is gone too.
    await ip(["link", "delete", ifname]).catch(() => {});
  }
}

/** The properties of a link that do not change by themselves. */
function lasting(link: Record<string, unknown>): Record<string, unknown> {
  const { ifindex, mtu, master, address, promiscuity, allmulti, linkinfo } = link;
  const { info_kind } = (linkinfo ?? {}) as Record<string, unknown>;
  return {
    ifindex,
    mtu,
    master,
    address,
    promiscuity,
    allmulti,
    kind: info_kind,
  };
}

async function routes(): Promise<string[]> {
  const found: string[] = [];
  for (const family of ["-4", "-6"]) {
    const text = await ip([family, "-o", "route", "show", "table", "all"]);
    found.push(...text.split("\n").map((line) => line.trim()).filter((line) => line !== ""));
  }
  // Multicast and the addresses of links come and go with carriers.
  return found.filter((line) => !/fe80:|ff00::|linkdown/.test(line)).toSorted();
}

async function settings(links: readonly string[]): Promise<Record<string, string>> {
  const names = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/netfilter/nf_hooks_lwtunnel",
    "kernel/core_pattern",
    ...links.map((link) => `net/ipv6/conf/${link}/accept_ra`),
  ];
  const found: Record<string, string> = {};
  for (const name of names) {
    const text = await Deno.readTextFile(`/proc/sys/${name}`).catch(() => undefined);
    if (text !== undefined) found[name] = text.trim();
  }
  return found;
}

/** Files but the agent's own, its sockets and its log. */
async function readTree(folder: string, into: Record<string, string>): Promise<void> {
  let entries: Deno.DirEntry[] = [];
  try {
    entries = await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const { name, isDirectory, isFile } of entries) {
    const path = join(folder, name);
    if (["state", "kubelet", "cdi"].includes(name) && /\/attack-[^/]+$/.test(folder)) continue;
    if (isDirectory) await readTree(path, into);
    else into[path] = isFile ? await Deno.readTextFile(path) : "";
  }
}
