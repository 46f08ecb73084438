/** Two agents of one node, as during a rolling update: real processes, real plugins. */
import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { join } from "node:path";
import { ContainerSchema, type PodSandbox, PodSandboxSchema } from "../../proto/gen/nri/nri_pb.ts";
import { socketPaths } from "../../mod/dra/socket_paths.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedNode } from "../../mod/simulator/node.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { storeClaim } from "../support/claims.ts";

const driver = "dra.networking";
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Node extends SimulatedNode {
  readonly #folder: string;
  readonly #started: AgentProcess[] = [];
  #pods = 0;

  constructor(folder: string) {
    super({ name: "node-1", folder, driver, step: () => {} });
    this.#folder = folder;
  }

  async startAgent(podUid?: string): Promise<AgentProcess> {
    const { paths } = this;
    const [cniPath] = await fetchCniPlugins();
    const agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", driver, "--listen", ""],
      ...["--kubelet-dir", paths.kubeletDir, "--nri-socket", paths.nriSocket],
      ...["--state-dir", paths.stateDir, "--cdi-dir", paths.cdiDir],
      ...["--kubeconfig", paths.kubeconfig, "--cni-path", cniPath!],
      ...podUid ? ["--pod-uid", podUid] : [],
    ]);
    this.#started.push(agent);
    return agent;
  }

  async end(): Promise<void> {
    await Promise.all(this.#started.map((agent) => agent.end()));
    await this.stop();
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** A pod's whole life: its container is let in only when the network is there. */
  async live(): Promise<void> {
    const name = `pod-${++this.#pods}`;
    const pod = create(PodSandboxSchema, {
      id: `sandbox-${name}`,
      name,
      uid: `uid-${name}`,
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: `/var/run/netns/${name}` }] },
    });
    await ip(["netns", "add", name]);
    const claim = storeClaim(this.api, {
      name,
      driver,
      networks: [{ name: "lan", subnet: 1 }],
      pods: [pod],
    });
    const prepared = await this.kubelet.prepare(driver, [claim]);
    assert.equal(prepared[claim.uid]!.error, "");
    const [device] = prepared[claim.uid]!.devices;
    await this.runtime.runPodSandbox(pod);
    await this.#createContainer(pod, device!.cdiDeviceIds);
    const { stdout } = await new Deno.Command("ip", {
      args: ["-n", name, "-4", "-o", "address", "show", "net1"],
    }).output();
    assert.match(new TextDecoder().decode(stdout), /inet 10\.10\.1\./, `${name} has no address`);
    await this.runtime.stopPodSandbox(pod);
    await ip(["netns", "delete", name]);
    await this.runtime.removePodSandbox(pod);
    for (let tries = 0;; tries++) {
      // The kubelet asks again when an Unprepare failed.
      const answer = (await this.kubelet.unprepare(driver, [claim]))[claim.uid]!;
      if (!answer.error) break;
      assert.ok(tries < 3, answer.error);
      await pause(200);
    }
  }

  /** As the kubelet does, again and again until the runtime has made it. */
  async #createContainer(pod: PodSandbox, cdiDevices: readonly string[]): Promise<void> {
    const container = create(ContainerSchema, {
      id: `container-${pod.id}`,
      podSandboxId: pod.id,
      name: "main",
      cdiDevices: cdiDevices.map((name) => ({ name })),
    });
    for (let tries = 0;; tries++) {
      try {
        return await this.runtime.createContainer(pod, container);
      } catch (error) {
        assert.ok(tries < 20, String(error));
        await pause(100);
      }
    }
  }

  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    const { stateDir, cdiDir } = this.paths;
    for (const folder of [join(stateDir, "claims"), join(stateDir, "attachments"), cdiDir]) {
      for await (const { name } of Deno.readDir(folder)) {
        // A claim that was unprepared is remembered for some minutes.
        if (!name.endsWith(".departed")) found.push(join(folder, name));
      }
    }
    for await (const { name } of Deno.readDir("/var/lib/cni/networks/lan")) {
      if (/^[0-9.]+$/.test(name)) found.push(`lease ${name}`);
    }
    return found;
  }
}

const UIDS = [1, 2, 3, 4].map((n) => `${n}f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55`);

async function withNode(test: (node: Node) => Promise<void>): Promise<void> {
  const node = new Node(await Deno.makeTempDir({ dir: "/run" }));
  await node.start();
  try {
    await test(node);
  } finally {
    await node.end();
  }
}

Deno.test("agents that follow one another under a stream of pods: each pod has its network, nothing is left", () =>
  withNode(async (node) => {
    let agent = await node.startAgent(UIDS[0]);
    await agent.ready();
    let rolling = true;
    let lived = 0;
    const lane = async () => {
      for (; rolling; lived++) await node.live();
    };
    const lanes = Promise.all([lane(), lane(), lane()]);
    const roll = async () => {
      for (const uid of UIDS.slice(1)) {
        await pause(300);
        const next = await node.startAgent(uid);
        await next.ready();
        await agent.logged("another agent of this node is ready to lead; handing over");
        await next.logged("leading now");
        const lives = lived;
        while (lived < lives + 6) await pause(20);
        await agent.end();
        agent = next;
      }
    };
    await Promise.all([lanes, roll().finally(() => rolling = false)]);
    assert.ok(lived > 20, `only ${lived} pods lived`);
    assert.deepEqual(await node.leftovers(), []);
    const own = socketPaths({ kubeletDir: node.paths.kubeletDir, driver, podUid: UIDS[3] });
    const names: string[] = [];
    for (const folder of ["plugins_registry", `plugins/${driver}`]) {
      for await (const { name } of Deno.readDir(join(node.paths.kubeletDir, folder))) {
        names.push(join(node.paths.kubeletDir, folder, name));
      }
    }
    assert.deepEqual(names.toSorted(), Object.values(own).toSorted());
  }));

Deno.test("an agent that stands by leads when the one that leads is killed, and removes its sockets at the next start", () =>
  withNode(async (node) => {
    const first = await node.startAgent(UIDS[0]);
    await first.ready();
    const second = await node.startAgent(UIDS[1]);
    await second.logged("leading now");
    await second.end("SIGKILL");
    await first.logged("leading now");
    const third = await node.startAgent(UIDS[2]);
    await third.logged("leading now");
    const dead = socketPaths({ kubeletDir: node.paths.kubeletDir, driver, podUid: UIDS[1] });
    for (const path of Object.values(dead)) {
      await assert.rejects(Deno.lstat(path), Deno.errors.NotFound);
    }
    await node.live();
  }));

Deno.test("of two agents that both stay, a kubelet that restarted knows the one that leads", () =>
  withNode(async (node) => {
    const { kubeletDir } = node.paths;
    const first = await node.startAgent(UIDS[0]);
    await first.ready();
    const second = await node.startAgent(UIDS[1]);
    await second.logged("leading now");
    const [old, now] = UIDS.map((podUid) => socketPaths({ kubeletDir, driver, podUid }).registry);
    const isThere = (path: string) => Deno.lstat(path).then(() => true, () => false);
    const becomes = async (expected: readonly boolean[]) => {
      for (let tries = 0;; tries++) {
        const found = [await isThere(old!), await isThere(now!)];
        if (`${found}` === `${expected}`) return;
        assert.ok(tries < 500, `the registry sockets are there: ${found}, not ${expected}`);
        await pause(20);
      }
    };
    // A kubelet that starts registers what it finds, in any order.
    await becomes([false, true]);
    await pause(3_000);
    assert.ok(!await isThere(old!), "nor is it made again");
    await node.live();
    await second.end("SIGKILL");
    await becomes([true, true]);
    // The kubelet finds it.
    await pause(500);
    await node.live();
  }));

Deno.test("without a pod's UID a second agent waits, and touches no socket, until the first ends", () =>
  withNode(async (node) => {
    const first = await node.startAgent();
    await first.ready();
    const { service } = socketPaths({ kubeletDir: node.paths.kubeletDir, driver });
    const { ino, mtime } = await Deno.lstat(service);
    const second = await node.startAgent();
    await second.logged("another agent of this node leads; standing by");
    await node.live();
    await pause(500);
    const now = await Deno.lstat(service);
    assert.deepEqual([now.ino, now.mtime], [ino, mtime]);
    await first.end();
    await second.ready();
    await node.live();
  }));
