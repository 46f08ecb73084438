/**
 * The agent as a separate process, real CNI plugins and real container runtimes; the kubelet and
 * the API server are simulated.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { ClaimRef } from "../../mod/claim/attachment.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { type NetworkOptions, shownStatus, storeClaim } from "../support/claims.ts";
import type { Runtime } from "../support/runtime_daemon.ts";
import { RUNTIMES } from "../support/runtimes.ts";

const driver = "dra.networking";

interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly attempt?: number;
  readonly hostNetwork?: boolean;
}

class Node {
  readonly folder: string;
  readonly api = new SimulatedApiServer();
  readonly kubelet: SimulatedKubelet;
  readonly runtime: Runtime;
  agent!: AgentProcess;
  /** Folder of wrappers around real plugins, which tests write. */
  readonly wrappers: string;

  private constructor(folder: string, runtime: Runtime) {
    this.folder = folder;
    this.runtime = runtime;
    this.kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    this.wrappers = join(folder, "wrappers");
  }

  static async start(startRuntime: (folder: string) => Promise<Runtime>): Promise<Node> {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const node = new Node(folder, await startRuntime(join(folder, "runtime")));
    await Deno.mkdir(node.wrappers);
    node.api.start();
    node.api.addNode("node-1");
    await Deno.writeTextFile(join(folder, "kubeconfig"), node.api.kubeconfig());
    await node.kubelet.start();
    await node.startAgent();
    return node;
  }

  async startAgent(): Promise<void> {
    this.agent = new AgentProcess([
      ...["--node-name", "node-1"],
      ...["--driver-name", driver],
      ...["--kubelet-dir", join(this.folder, "kubelet")],
      ...["--nri-socket", this.runtime.paths.nri],
      ...["--state-dir", join(this.folder, "state")],
      ...["--cdi-dir", this.runtime.paths.cdi],
      ...["--cni-path", `${this.wrappers}:${this.runtime.cniPath}`],
      ...["--kubeconfig", join(this.folder, "kubeconfig")],
    ]);
    await this.agent.ready();
  }

  async stop(): Promise<void> {
    await this.agent.end();
    await this.kubelet.stop();
    await this.runtime.stop();
    await this.api.stop();
  }

  /** A plugin that runs a line of shell before the real plugin. */
  async wrap(
    type: string,
    { around, before }: { readonly around: string; readonly before: string },
  ) {
    const real = join(this.runtime.cniPath, around);
    const script = `#!/bin/sh\n${before}\nexec ${real}\n`;
    await Deno.writeTextFile(join(this.wrappers, type), script, { mode: 0o755 });
  }

  /** A claim of the pod's own, prepared. */
  async claim(pod: Pod, networks: readonly NetworkOptions[], name = `${pod.name}-claim`) {
    const claim = storeClaim(this.api, { name, driver, networks, pods: [pod] });
    await this.prepare(claim);
    return claim;
  }

  async prepare(claim: ClaimRef): Promise<void> {
    await this.kubelet.registered(driver);
    const answers = await this.kubelet.prepare(driver, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
  }

  /** Stops and removes the sandbox, and unprepares the claims. */
  async remove(sandbox: string, ...claims: ClaimRef[]): Promise<void> {
    await this.runtime.cri.stopPodSandbox(sandbox);
    await this.runtime.cri.removePodSandbox(sandbox);
    if (claims.length === 0) return;
    const answers = await this.kubelet.unprepare(driver, claims);
    for (const { uid } of claims) assert.equal(answers[uid]?.error, "");
  }

  /** The claim's status, once it has come to what is expected. */
  async assertStatus({ name }: ClaimRef, expected: (RegExp | string)[]): Promise<void> {
    const fits = () => {
      const shown = shownStatus(this.api.get("default", name));
      return shown.length === expected.length &&
        shown.every((line, i) => {
          const want = expected[i]!;
          return typeof want === "string" ? line === want : want.test(line);
        });
    };
    for (let tries = 0; tries < 400 && !fits(); tries++) await pause(25);
    assert.ok(fits(), `the status is ${shownStatus(this.api.get("default", name)).join("; ")}`);
  }

  /** Nothing of any pod is left: records, leases, interfaces, CDI files. */
  async assertNothingLeft(): Promise<void> {
    const left: string[] = [];
    for (const folder of ["state/claims", "state/attachments", "runtime/cdi"]) {
      for (const name of await names(join(this.folder, folder))) left.push(`${folder}/${name}`);
    }
    for (const network of await names("/var/lib/cni/networks")) {
      if (network === "main") continue;
      for (const name of await names(join("/var/lib/cni/networks", network))) {
        if (name !== "lock" && !name.startsWith("last_reserved")) left.push(`lease ${name}`);
      }
    }
    left.push(...await names("/run/netns"));
    assert.deepEqual(left, []);
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}

function aPod(name: string, more: Partial<Pod> = {}): Pod {
  return { name, uid: crypto.randomUUID(), ...more };
}

const cdi = ({ uid }: ClaimRef) => [`${driver}/claim=${uid}`];

/** The address of an interface inside a container, which must be of the subnet 10.10.<subnet>.0/24. */
async function addressIn(
  node: Node,
  container: string,
  { link = "net1", subnet = 1 } = {},
): Promise<string> {
  const found = await address(node, container, link) ?? "none";
  assert.match(found, new RegExp(`^10\\.10\\.${subnet}\\.\\d+/24$`));
  return found;
}

/** The address of an interface inside a container. */
async function address(node: Node, container: string, link: string): Promise<string | undefined> {
  const shown = await node.runtime.cri.exec(container, "ip", "-4", "addr", "show", link);
  return shown.match(/inet (\S+)/)?.[1];
}

type Case = (node: Node) => Promise<void>;

const CASES: Readonly<Record<string, Case>> = {
  "a pod with one claim": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("one");
    const claim = await node.claim(pod, [{ name: "a", subnet: 1, interface: "net1" }]);
    const sandbox = await cri.runPodSandbox(pod);
    const container = await cri.runContainerAtLast(sandbox, pod, { cdiDevices: cdi(claim) });
    const found = await addressIn(node, container);
    assert.match(await cri.exec(container, "env"), /NETWORK_CLAIM_\w+=default\/one-claim/);
    const folder = "/var/run/kubernetes.io/dra-device-attributes/resourceclaims/one-claim/a";
    const metadata = await cri.exec(container, "cat", `${folder}/${driver}-metadata.json`);
    assert.ok(metadata.includes(`"${found}"`), metadata);
    await node.assertStatus(claim, [`cni-0 True ${found}`]);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },

  "a pod with three networks": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("three");
    const networks = ["a", "b", "c"].map((name, i) => ({ name, subnet: i + 1 }));
    const claim = await node.claim(pod, networks);
    const sandbox = await cri.runPodSandbox(pod);
    const container = await cri.runContainerAtLast(sandbox, pod, { cdiDevices: cdi(claim) });
    const shown: string[] = [];
    for (const subnet of [1, 2, 3]) {
      const found = await addressIn(node, container, { link: `net${subnet}`, subnet });
      shown.push(`cni-${subnet - 1} True ${found}`);
    }
    await node.assertStatus(claim, shown);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },

  "two pods at once, with containers that do not name the claim": async (node) => {
    const { cri } = node.runtime;
    const seen = await Promise.all(["x", "y"].map(async (name) => {
      const pod = aPod(name);
      const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
      const sandbox = await cri.runPodSandbox(pod);
      const container = await cri.runContainerAtLast(sandbox, pod);
      const found = await address(node, container, "net1");
      await node.remove(sandbox, claim);
      return found;
    }));
    assert.equal(new Set(seen).size, 2);
    for (const found of seen) assert.match(found ?? "", /^10\.10\.1\.\d+\/24$/);
    await node.assertNothingLeft();
  },

  "a plugin that fails and recovers": async (node) => {
    const { cri } = node.runtime;
    const mark = join(node.folder, "uplink");
    const before = `if [ "$CNI_COMMAND" = ADD ] && [ ! -e ${mark} ]; then ` +
      `echo '{"code": 11, "msg": "the uplink is down"}'; exit 1; fi`;
    await node.wrap("flaky", { around: "macvlan", before });
    const pod = aPod("flaky");
    const claim = await node.claim(pod, [{ name: "a", type: "flaky", subnet: 1 }]);
    const sandbox = await cri.runPodSandbox(pod);
    const refusals: string[] = [];
    const started = cri.runContainerAtLast(sandbox, pod, { cdiDevices: cdi(claim), refusals });
    await node.assertStatus(claim, ["cni-0 False "]);
    await Deno.writeTextFile(mark, "");
    const found = await addressIn(node, await started);
    assert.ok(
      refusals.some((refusal) =>
        /network "a" \(interface net1, claim default\/flaky-claim\) is not ready: .*the uplink is down/
          .test(refusal)
      ),
      refusals.join("\n"),
    );
    await node.assertStatus(claim, [`cni-0 True ${found}`]);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },

  "a plugin slower than the runtime's time-out": async (node) => {
    const { cri } = node.runtime;
    await node.wrap("slow", { around: "macvlan", before: '[ "$CNI_COMMAND" = ADD ] && sleep 3' });
    const pod = aPod("slow");
    const claim = await node.claim(pod, [{ name: "a", type: "slow", subnet: 1 }]);
    const sandbox = await cri.runPodSandbox(pod);
    const refusals: string[] = [];
    const container = await cri.runContainerAtLast(sandbox, pod, {
      cdiDevices: cdi(claim),
      refusals,
    });
    assert.ok(
      refusals.some((refusal) => /still being attached/.test(refusal)),
      refusals.join("\n"),
    );
    await addressIn(node, container);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },

  "the agent killed between sandbox and container": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("killed");
    const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
    const sandbox = await cri.runPodSandbox(pod);
    await node.agent.end("SIGKILL");
    await node.startAgent();
    const container = await cri.runContainerAtLast(sandbox, pod, { cdiDevices: cdi(claim) });
    await node.assertStatus(claim, [`cni-0 True ${await addressIn(node, container)}`]);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },

  "the agent killed while it attaches: no container that names the claim starts before it is back":
    async (node) => {
      const { cri } = node.runtime;
      const mark = join(node.folder, "attaching");
      const before = `[ "$CNI_COMMAND" = ADD ] && [ ! -e ${mark} ] && : > ${mark} && sleep 20`;
      await node.wrap("slow", { around: "macvlan", before });
      const pod = aPod("in-between");
      const claim = await node.claim(pod, [{ name: "a", type: "slow", subnet: 1 }]);
      const sandbox = await cri.runPodSandbox(pod);
      while (!await Deno.stat(mark).catch(() => undefined)) await pause(20);
      await node.agent.end("SIGKILL");
      // The runtime finds the claim's CDI device, and nobody to ask. Containerd creates the container
      // and does not start it, CRI-O does not create it; what was created is left here.
      const options = { cdiDevices: cdi(claim) };
      await assert.rejects(
        cri.createContainer(sandbox, pod, options).then((id) => cri.startContainer(id)),
        new RegExp(`cdi/dra\\.networking_${claim.uid}\\.attached`),
      );
      // It is there when the agent comes back, and tells of no container that had to do without.
      await node.startAgent();
      await node.assertStatus(claim, [/^cni-0 True 10\.10\.1\.\d+\/24$/]);
      assert.deepEqual(
        node.api.events.all().filter(({ reason }) => reason === "NetworkAttachedLate"),
        [],
      );
      const again = { ...pod, attempt: 1 };
      const container = await cri.runContainerAtLast(sandbox, again, options);
      const found = await addressIn(node, container);
      assert.equal(await cri.exec(container, "cat", `/etc/network-dra/${claim.uid}`), "");
      await node.assertStatus(claim, [`cni-0 True ${found}`]);
      await node.remove(sandbox, claim);
      await node.assertNothingLeft();
    },

  "the agent away: no container that names the claim is created; back: it is": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("away");
    const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
    assert.equal(await node.agent.end("SIGTERM"), 0);
    const sandbox = await cri.runPodSandbox(pod);
    for (let i = 0; i < 3; i++) {
      await assert.rejects(
        cri.runContainer(sandbox, pod, { cdiDevices: cdi(claim) }),
        /unresolvable CDI devices dra\.networking\/claim=/,
      );
    }
    await node.startAgent();
    const container = await cri.runContainerAtLast(sandbox, pod, { cdiDevices: cdi(claim) });
    await addressIn(node, container);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },

  "pods stopped while the agent is away": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("stopped");
    const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
    const sandbox = await cri.runPodSandbox(pod);
    await cri.runContainerAtLast(sandbox, pod, { cdiDevices: cdi(claim) });
    await node.agent.end("SIGKILL");
    await node.remove(sandbox);
    await node.startAgent();
    const answers = await node.kubelet.unprepare(driver, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
    await node.assertNothingLeft();
  },

  "the runtime restarted under the agent": async (node) => {
    const pod = aPod("restart");
    const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
    const sandbox = await node.runtime.cri.runPodSandbox(pod);
    const container = await node.runtime.cri.runContainerAtLast(sandbox, pod, {
      cdiDevices: cdi(claim),
    });
    await node.runtime.kill();
    const synchronizations = () =>
      node.agent.lines.filter(({ msg }) => msg === "the NRI plugin is synchronized").length;
    const before = synchronizations();
    await node.runtime.restart();
    while (synchronizations() === before) await pause(20);
    await addressIn(node, container);
    const other = aPod("after");
    const second = await node.claim(other, [{ name: "a", subnet: 1 }]);
    const next = await node.runtime.cri.runPodSandbox(other);
    const inside = await node.runtime.cri.runContainerAtLast(next, other, {
      cdiDevices: cdi(second),
    });
    await addressIn(node, inside);
    await node.remove(sandbox, claim);
    await node.remove(next, second);
    await node.assertNothingLeft();
  },

  "the sandbox of a pod made anew": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("anew");
    const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
    const first = await cri.runPodSandbox(pod);
    await cri.runContainerAtLast(first, pod, { cdiDevices: cdi(claim) });
    await cri.stopPodSandbox(first);
    const again = { ...pod, attempt: 1 };
    const second = await cri.runPodSandbox(again);
    const container = await cri.runContainerAtLast(second, again, { cdiDevices: cdi(claim) });
    const found = await address(node, container, "net1");
    await cri.removePodSandbox(first);
    await pause(200);
    assert.equal(await address(node, container, "net1"), found);
    await node.assertStatus(claim, [/^cni-0 True 10\.10\.1\.\d+\/24$/]);
    await node.remove(second, claim);
    await node.assertNothingLeft();
  },

  "a pod without claims": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("plain");
    const sandbox = await cri.runPodSandbox(pod);
    const container = await cri.runContainer(sandbox, pod);
    const links = await cri.exec(container, "ls", "/sys/class/net");
    assert.deepEqual(links.trim().split(/\s+/), ["eth0", "lo"]);
    await node.remove(sandbox);
    await node.assertNothingLeft();
  },

  "a pod on the host's network is refused, and the host stays as it is": async (node) => {
    const { cri } = node.runtime;
    const pod = aPod("host", { hostNetwork: true });
    const claim = await node.claim(pod, [{ name: "a", subnet: 1 }]);
    // Not their state: the bridge of the cluster's network loses its carrier after its last pod.
    const links = async () =>
      (JSON.parse(await ip(["-j", "link"])) as { ifname: string; address: string; mtu: number }[])
        .map(({ ifname, address, mtu }) => ({ ifname, address, mtu }));
    const before = await links();
    const sandbox = await cri.runPodSandbox(pod);
    await assert.rejects(
      cri.runContainer(sandbox, pod),
      /pod default\/host uses the host's network/,
    );
    assert.deepEqual(await links(), before);
    await node.remove(sandbox, claim);
    await node.assertNothingLeft();
  },
};

for (const [name, { fetch, start }] of Object.entries(RUNTIMES)) {
  const obstacle = await fetch({ progress: (line) => console.error(line) });
  if (obstacle) console.error(obstacle);
  Deno.test({ name: `with ${name}`, ignore: obstacle !== undefined }, async (t) => {
    const node = await Node.start((folder) => start({ folder }));
    try {
      for (const [name, run] of Object.entries(CASES)) {
        const from = node.agent.lines.length;
        const passed = await t.step(name, async () => {
          try {
            await run(node);
          } catch (error) {
            // Said here too: what is wrong can keep the node from ending.
            console.error(`${name}: ${error}`);
            throw error;
          }
        });
        if (passed) continue;
        console.error(node.agent.lines.slice(from).map((line) => JSON.stringify(line)).join("\n"));
        throw new Error(
          `the node is not as it was after ${JSON.stringify(name)}: the rest is not run`,
        );
      }
    } finally {
      await node.stop();
    }
  });
}
