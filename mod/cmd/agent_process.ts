import { availableParallelism } from "node:os";
import { Agent, type DeviceHealth } from "../agent/agent.ts";
import { NodeDevices } from "../agent/node_devices.ts";
import type { Clock, Log } from "../agent/ports.ts";
import { CdiSpecFiles } from "../cdi/spec_files.ts";
import { Plugins } from "../cni/plugins.ts";
import { runProgram } from "../cni/program.ts";
import { CniRunner } from "../cni/runner.ts";
import { DraPlugin } from "../dra/plugin.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { NodeInventory } from "../inventory/node_inventory.ts";
import { SysfsLinks } from "../inventory/sysfs.ts";
import { FileJournal } from "../journal/journal.ts";
import { KubeCluster } from "../kube/cluster.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeEvents } from "../kube/events.ts";
import { SlicePool } from "../kube/slice_pool.ts";
import { HostNamespaces } from "../netns/host_namespaces.ts";
import { NriPlugin } from "../nri/plugin.ts";
import { Loops } from "../observe/loops.ts";
import { PrometheusMetrics } from "../observe/metrics.ts";
import { Readiness, type Side } from "../observe/readiness.ts";
import { describeAddress, serveObserved } from "../observe/server.ts";
import { nriHandlers } from "./nri_handlers.ts";
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
  await makeOwnFolder(config.stateDir);
  const connection = new KubeConnection({ kubeconfig: config.kubeconfig });
  const plugins = new Plugins({
    cniPath: config.cniPath,
    timeout: config.cniTimeout,
    env: { PATH: PLUGINS_PATH },
    run: runProgram,
    onRun: (operation) => metrics.pluginRan(operation),
  });
  const metrics = new PrometheusMetrics({ plugins: plugins.types() });
  const events = new KubeEvents(connection, {
    component: driver,
    host: config.nodeName,
    clock,
    log,
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
    metrics,
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
    metrics,
    events,
  }, { driver, concurrency: config.concurrency });
  metrics.countsFrom(() => agent.counts());
  log.info("network-dra starts", {
    ...config,
    cniPath: config.cniPath.join(":"),
    listen: config.listen ? describeAddress(config.listen) : "",
  });
  await agent.load();

  const readiness = new Readiness(log);
  const loops = new Loops();
  const setSide = (side: Side, state: boolean) => {
    readiness.set(side, state);
    metrics.connected(side, state);
  };
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
      setSide("NRI", state);
    },
    onHandled: (event, seconds) => metrics.hookHandled(event, seconds),
  }, nriHandlers(agent)).run(nriEnd.signal);
  loops.watch("NRI", nri);
  const dra = new DraPlugin({
    driver,
    kubeletDir: config.kubeletDir,
    log,
    clock,
    onRegistered: (registered) => setSide("kubelet", registered),
  }, {
    prepare: (claims, until) => agent.prepare(claims, until),
    unprepare: (claims, until) => agent.unprepare(claims, until),
    watchHealth: (until) => watchHealth(agent, until),
  });
  const observeEnd = new AbortController();
  const observed = config.listen && serveObserved(config.listen, {
    health: () => loops.checks(),
    readiness: () => readiness.checks(),
    metrics,
  }, { log, clock, signal: observeEnd.signal });
  const ended = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    // A pod that was prepared must not start before its sandbox would be seen.
    await Promise.race([synchronized.promise, ended]);
    if (!signal.aborted) await Promise.race([dra.start(), ended]);
    loops.watch("kubelet", dra.watching);
    const publishing = devices.run(() => agent.allocatedDevices(), signal);
    loops.watch("devices", publishing);
    await Promise.all([publishing, ended]);
  } finally {
    log.info("network-dra stops");
    setSide("kubelet", false);
    await dra.stop();
    nriEnd.abort(new Error("the agent stops"));
    await nri;
    await agent.close();
    await events.close();
    observeEnd.abort();
    await observed;
    connection.close();
    log.info("network-dra stopped");
  }
}

async function* watchHealth(agent: Agent, signal: AbortSignal): AsyncGenerator<DeviceHealth[]> {
  while (!signal.aborted) {
    yield agent.deviceHealth();
    await systemClock.sleep(HEALTH_INTERVAL, signal).catch(() => {});
  }
}
