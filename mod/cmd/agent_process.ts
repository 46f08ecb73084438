import { availableParallelism } from "node:os";
import { Agent, type DeviceHealth } from "../agent/agent.ts";
import { NodeDevices } from "../agent/node_devices.ts";
import type { Clock, Log, Sandbox } from "../agent/ports.ts";
import { CdiSpecFiles } from "../cdi/spec_files.ts";
import { Plugins } from "../cni/plugins.ts";
import { runProgram } from "../cni/program.ts";
import { CniRunner } from "../cni/runner.ts";
import { DraPlugin } from "../dra/plugin.ts";
import { NodeInventory } from "../inventory/node_inventory.ts";
import { SysfsLinks } from "../inventory/sysfs.ts";
import { FileJournal } from "../journal/journal.ts";
import { KubeCluster } from "../kube/cluster.ts";
import { KubeConnection } from "../kube/connection.ts";
import { SlicePool } from "../kube/slice_pool.ts";
import { HostNamespaces } from "../netns/host_namespaces.ts";
import { networkNamespace, type NriHandlers } from "../nri/events.ts";
import { NriPlugin } from "../nri/plugin.ts";
import type { PodSandbox } from "../../proto/gen/nri/nri_pb.ts";
import type { RunConfig } from "./run_config.ts";

/** Plugins look up programs such as iptables by it; nothing else of the agent's environment reaches them. */
const PLUGINS_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** The kubelet takes a device's health as unknown 30 s after it last heard of it. */
const HEALTH_INTERVAL = 10_000;

export const CORES = availableParallelism();

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", abort, { once: true });
    }),
};

/**
 * Runs the agent with all its sides until the signal is aborted: journal, then NRI, then DRA; and
 * the other way round at the end.
 *
 * @throws Error when it cannot start at all: state folder, credentials, socket paths
 */
export async function runAgent(
  config: RunConfig,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const { driverName: driver } = config;
  const clock = systemClock;
  await Deno.mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  const connection = new KubeConnection({ kubeconfig: config.kubeconfig });
  const plugins = new Plugins({
    cniPath: config.cniPath,
    timeout: config.cniTimeout,
    env: { PATH: PLUGINS_PATH },
    run: runProgram,
  });
  const links = new SysfsLinks({ sysfs: config.sysfsDir, stateDir: config.stateDir });
  const devices = new NodeDevices({
    inventory: new NodeInventory({
      readLinks: (until) => links.read(until),
      pluginTypes: () => plugins.types(),
      patterns: config.interfaces,
      log,
    }),
    pool: new SlicePool(connection, {
      driver,
      nodeName: config.nodeName,
      attachments: config.attachmentsPerInterface,
      copies: config.copiesPerInterface,
    }),
    clock,
    log,
  });
  const agent = new Agent({
    cni: new CniRunner(plugins),
    cluster: new KubeCluster(connection, { fieldManager: driver }),
    journal: new FileJournal(config.stateDir, { log }),
    namespaces: new HostNamespaces(config.stateDir),
    cdi: new CdiSpecFiles(config.cdiDir, { driver }),
    devices,
    clock,
    log,
  }, { driver, concurrency: config.concurrency });
  log.info("network-dra starts", { ...config, cniPath: config.cniPath.join(":") });
  await agent.load();

  const readiness = new Readiness(log);
  const synchronized = Promise.withResolvers<void>();
  const nriEnd = new AbortController();
  const nri = new NriPlugin({
    socketPath: config.nriSocket,
    name: config.pluginName,
    index: config.pluginIndex,
    log,
    clock,
    onState: (state) => {
      if (state) synchronized.resolve();
      readiness.set("NRI", state);
    },
  }, nriHandlers(agent)).run(nriEnd.signal);
  const dra = new DraPlugin({
    driver,
    kubeletDir: config.kubeletDir,
    log,
    clock,
    onRegistered: (registered) => readiness.set("kubelet", registered),
  }, {
    prepare: (claims, until) => agent.prepare(claims, until),
    unprepare: (claims, until) => agent.unprepare(claims, until),
    watchHealth: (until) => watchHealth(agent, until),
  });
  const ended = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    // A pod that was prepared must not start before its sandbox would be seen.
    await Promise.race([synchronized.promise, ended]);
    if (!signal.aborted) await Promise.race([dra.start(), ended]);
    await devices.run(() => agent.allocatedDevices(), signal);
    await ended;
  } finally {
    log.info("network-dra stops");
    await dra.stop();
    nriEnd.abort(new Error("the agent stops"));
    await nri;
    await agent.close();
    connection.close();
    log.info("network-dra stopped");
  }
}

/** The runtime's events in the agent's words. */
function nriHandlers(agent: Agent): NriHandlers {
  return {
    synchronize: (pods, containers) =>
      agent.reconcile(
        pods.map(toSandbox),
        new Set(containers.map(({ podSandboxId }) => podSandboxId)),
      ),
    runPodSandbox: (pod) => agent.attach(toSandbox(pod)),
    stopPodSandbox: (pod) => agent.detach(pod.id),
    removePodSandbox: (pod) => agent.detach(pod.id),
    createContainer: (pod, container, signal) =>
      agent.gate(toSandbox(pod), {
        cdiDevices: container.cdiDevices.map(({ name }) => name),
        signal,
      }),
  };
}

function toSandbox(pod: PodSandbox): Sandbox {
  const { id, namespace, name, uid } = pod;
  const netns = networkNamespace(pod);
  return { id, pod: { namespace, name, uid }, ...(netns !== undefined && { netns }) };
}

async function* watchHealth(agent: Agent, signal: AbortSignal): AsyncGenerator<DeviceHealth[]> {
  while (!signal.aborted) {
    yield agent.deviceHealth();
    await systemClock.sleep(HEALTH_INTERVAL, signal).catch(() => {});
  }
}

/** Says once, each time, when both sides have come to know the agent. */
class Readiness {
  readonly #log: Log;
  readonly #sides = new Map<string, boolean>([["NRI", false], ["kubelet", false]]);
  #ready = false;

  constructor(log: Log) {
    this.#log = log;
  }

  set(side: "NRI" | "kubelet", state: boolean): void {
    this.#sides.set(side, state);
    const ready = [...this.#sides.values()].every((known) => known);
    if (ready && !this.#ready) this.#log.info("ready");
    this.#ready = ready;
  }
}
