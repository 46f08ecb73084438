import { systemClock } from "../async/clock.ts";
import { aborted } from "../async/aborted.ts";
import { Agent } from "../agent/agent.ts";
import type { DeviceHealth } from "../agent/status/device_health.ts";
import { LeaderElection } from "../agent/handover/leader_election.ts";
import { NodeDevices } from "../agent/devices/node_devices.ts";
import type { Log } from "../agent/ports.ts";
import { ActiveAgent } from "../agent/handover/active_agent.ts";
import { CdiSpecFiles } from "../cdi/spec_files.ts";
import { NetworkFiles } from "../cni/network_files.ts";
import { PluginFolders } from "../cni/plugin_folders.ts";
import { Plugins } from "../cni/plugins.ts";
import type { RunProgram } from "../cni/program.ts";
import { CniRunner } from "../cni/runner.ts";
import { DraPlugin } from "../dra/plugin.ts";
import { readNodeAddresses } from "../inventory/node_addresses.ts";
import { NodeInventory } from "../inventory/node_inventory.ts";
import { type ReadTexts, SysfsLinks } from "../inventory/sysfs.ts";
import { serveForgetRequests } from "../requests/forget_requests.ts";
import { FileJournal } from "../journal/journal.ts";
import { LeadLocks } from "../lead/lead_locks.ts";
import { KubeCluster } from "../kube/cluster.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeEvents } from "../kube/events.ts";
import { SlicePool } from "../kube/slice_pool.ts";
import { HostNamespaces } from "../netns/host_namespaces.ts";
import type { ListInterfaces } from "../netns/interface_lister.ts";
import { NriPlugin } from "../nri/plugin.ts";
import { Loops } from "../observe/loops.ts";
import { PrometheusMetrics } from "../observe/metrics.ts";
import { Readiness, type Side } from "../observe/readiness.ts";
import { describeAddress, serveObserved } from "../observe/server.ts";
import { nriHandlers } from "./nri_handlers.ts";
import type { RunConfig } from "./run_config.ts";

/** The kubelet takes a device's health as unknown 30 s after it last heard of it. */
const HEALTH_INTERVAL = 10_000;

/**
 * Runs the agent with all its sides until the signal is aborted: NRI, then DRA; and the other way
 * round at the end. It acts while it leads.
 *
 * @param config its node was made ready by {@link prepareNode}
 * @throws Error when it cannot start at all: credentials, socket paths
 */
export async function runAgent(
  config: RunConfig,
  { log, signal, run, read, interfaces }: {
    readonly log: Log;
    readonly signal: AbortSignal;
    /** Runs plugins. */
    readonly run: RunProgram;
    /** Reads what Deno does not let be read. */
    readonly read: ReadTexts;
    /** Lists the interfaces in pods. */
    readonly interfaces: ListInterfaces;
  },
): Promise<void> {
  const { driverName: driver } = config;
  const clock = systemClock;
  const connection = new KubeConnection({ kubeconfig: config.kubeconfig });
  const folders = new PluginFolders(config);
  const plugins = new Plugins({
    folders,
    timeout: config.cniTimeout,
    run,
    onRun: (operation) => metrics.pluginRan(operation),
  });
  const metrics = new PrometheusMetrics({ plugins: folders.types() });
  const events = new KubeEvents(connection, {
    component: driver,
    host: config.nodeName,
    clock,
    log,
  });
  const links = new SysfsLinks({ stateDir: config.stateDir, readBy: read });
  const inventory = new NodeInventory({
    readLinks: (until) => links.read(until),
    pluginTypes: () => folders.types(),
    readAddresses: readNodeAddresses,
    patterns: config.interfaces,
    log,
  });
  const devices = new NodeDevices({
    inventory,
    pool: new SlicePool(connection, {
      driver,
      nodeName: config.nodeName,
      attachments: config.attachmentsPerInterface,
      copies: config.copiesPerInterface,
    }),
    clock,
    log,
    metrics,
    onGone: (device) => activeAgent.agent?.deviceGone(device),
  });
  const ports = {
    cni: new CniRunner(plugins),
    cluster: new KubeCluster(connection, { fieldManager: driver }),
    journal: new FileJournal(config.stateDir, { log }),
    namespaces: new HostNamespaces(config.stateDir, { interfaces }),
    cdi: new CdiSpecFiles(config.cdiDir, { driver, metadata: config.deviceMetadata }),
    devices,
    networks: new NetworkFiles(config.networkDir, { log }),
    node: inventory,
    clock,
    log,
    metrics,
    events,
  };
  const activeAgent = new ActiveAgent(ports);
  metrics.countsFrom(() => activeAgent.agent?.counts());
  log.info("network-dra starts", {
    ...config,
    cniPath: config.cniPath.join(":"),
    listen: config.listen ? describeAddress(config.listen) : "",
  });

  const ready = Promise.withResolvers<void>();
  const readiness = new Readiness(log, () => ready.resolve());
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
      else activeAgent.disconnected();
      setSide("NRI", state);
    },
    onHandled: (event, seconds) => metrics.hookHandled(event, seconds),
  }, nriHandlers(activeAgent)).run(nriEnd.signal);
  loops.watch("NRI", nri);
  const dra = new DraPlugin({
    driver,
    kubeletDir: config.kubeletDir,
    podUid: config.podUid,
    log,
    clock,
    onRegistered: (registered) => setSide("kubelet", registered),
  }, {
    prepare: (claims, until) => activeAgent.prepare(claims, until),
    // What takes long must not keep the next agent from leading.
    unprepare: (claims, until) => activeAgent.unprepare(claims, AbortSignal.any([until, signal])),
    watchHealth: (until) => watchHealth(activeAgent, until),
  });
  const observeEnd = new AbortController();
  const observed = config.listen && serveObserved(config.listen, {
    health: () => loops.checks(),
    readiness: () => [
      ...readiness.checks(),
      { name: "lead", ok: true, says: activeAgent.agent ? "leads" : "stands by" },
    ],
    metrics,
  }, { log, clock, signal: observeEnd.signal });
  const leads = Promise.withResolvers<void>();
  const served = Promise.withResolvers<void>();
  const term = async (over: AbortSignal) => {
    const { concurrency, policy } = config;
    const agent = new Agent(ports, { driver, concurrency, policy });
    await agent.load();
    await activeAgent.take(agent);
    leads.resolve();
    // Devices that are published bring pods here.
    await Promise.race([served.promise, aborted(over)]);
    const publishing = devices.run(() => agent.allocatedDevices(), over);
    loops.watch("devices", publishing, over);
    const { checkInterval: interval, repair, gcNetworks } = config;
    const upkeep = agent.upkeep({ interval, repair, gcNetworks }, over);
    loops.watch("upkeep", upkeep, over);
    const forget = (claim: string) => agent.forget(claim, over);
    const requests = serveForgetRequests(config.stateDir, { forget, clock, log, signal: over });
    loops.watch("requests", requests, over);
    try {
      await Promise.all([publishing, upkeep, requests, aborted(over)]);
    } finally {
      await activeAgent.leave();
      await agent.close();
    }
  };
  const leadEnd = new AbortController();
  const leadership = new LeaderElection({ lock: new LeadLocks(config.stateDir), clock, log }).run(
    term,
    {
      // Sockets of one name for all would be taken from the agent that leads.
      ready: config.podUid ? ready.promise : NEVER,
      signal: leadEnd.signal,
    },
  );
  const ended = aborted(signal);
  try {
    // A pod that was prepared must not start before its sandbox would be seen.
    await Promise.race([synchronized.promise, ended, leadership]);
    if (!config.podUid) await Promise.race([leads.promise, ended, leadership]);
    if (!signal.aborted) await Promise.race([dra.start(), ended, leadership]);
    loops.watch("kubelet", dra.watching);
    served.resolve();
    await Promise.race([leadership, ended]);
  } finally {
    log.info("network-dra stops");
    setSide("kubelet", false);
    activeAgent.close();
    // It leads until no call can come any more.
    await dra.stop();
    leadEnd.abort(new Error("the agent stops"));
    await Promise.allSettled([leadership]);
    nriEnd.abort(new Error("the agent stops"));
    await nri;
    await events.close();
    observeEnd.abort();
    await observed;
    connection.close();
    log.info("network-dra stopped");
  }
}

/** An agent whose sockets have no name of their own takes the lead from nobody. */
const NEVER = new Promise<void>(() => {});

async function* watchHealth(
  activeAgent: ActiveAgent,
  signal: AbortSignal,
): AsyncGenerator<DeviceHealth[]> {
  while (!signal.aborted) {
    const health = activeAgent.agent?.deviceHealth();
    if (health) yield health;
    await systemClock.sleep(HEALTH_INTERVAL, signal).catch(() => {});
  }
}
