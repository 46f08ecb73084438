import { type Clock, systemClock } from "../async/clock.ts";
import { Latch } from "../async/latch.ts";
import type { AgentPorts } from "../agent/agent.ts";
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
import type { Observed } from "../observe/server.ts";
import { draHandlers } from "./dra_handlers.ts";
import { nriHandlers } from "./nri_handlers.ts";
import type { RunConfig } from "./run_config.ts";

export interface AgentProcessOptions {
  readonly log: Log;
  /** Runs plugins. */
  readonly run: RunProgram;
  /** Reads what Deno does not let be read. */
  readonly read: ReadTexts;
  /** Lists the interfaces in pods. */
  readonly interfaces: ListInterfaces;
}

/** What an agent that starts has come to. */
export interface Progress {
  /** The container runtime has told which sandboxes there are, and that was dealt with. */
  readonly synchronized: Latch;
  /** The agent leads, or has led. */
  readonly led: Latch;
  /** The sockets for the kubelet are there. */
  readonly listens: Latch;
}

/** The objects of one agent, none of which does anything yet. */
export interface AgentProcess {
  readonly config: RunConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly connection: KubeConnection;
  readonly events: KubeEvents;
  readonly devices: NodeDevices;
  readonly ports: AgentPorts;
  readonly activeAgent: ActiveAgent;
  readonly election: LeaderElection;
  readonly nri: NriPlugin;
  readonly dra: DraPlugin;
  readonly loops: Loops;
  readonly readiness: Readiness;
  readonly observed: Observed;
  readonly progress: Progress;
  /** Says that a side knows the agent, or does not any more. */
  readonly setSide: (side: Side, known: boolean) => void;
}

/**
 * Makes the objects of an agent and connects them.
 *
 * @throws Error when it cannot start at all: credentials, socket paths
 */
export function agentProcess(
  config: RunConfig,
  { log, run, read, interfaces }: AgentProcessOptions,
): AgentProcess {
  const { driverName: driver, nodeName, stateDir } = config;
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
  const events = new KubeEvents(connection, { component: driver, host: nodeName, clock, log });
  const links = new SysfsLinks({ stateDir, readBy: read });
  const inventory = new NodeInventory({
    readLinks: (until) => links.read(until),
    pluginTypes: () => folders.types(),
    readAddresses: readNodeAddresses,
    patterns: config.interfaces,
    log,
  });
  const pool = new SlicePool(connection, {
    driver,
    nodeName,
    attachments: config.attachmentsPerInterface,
    copies: config.copiesPerInterface,
  });
  const devices = new NodeDevices({
    inventory,
    pool,
    clock,
    log,
    metrics,
    onGone: (device) => activeAgent.agent?.deviceGone(device),
  });
  const ports = {
    cni: new CniRunner(plugins),
    cluster: new KubeCluster(connection, { driver, nodeName }),
    journal: new FileJournal(stateDir, { log }),
    namespaces: new HostNamespaces(stateDir, { interfaces }),
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
  const progress = {
    synchronized: new Latch(),
    led: new Latch(),
    listens: new Latch(),
  };
  const readiness = new Readiness(log);
  const setSide = (side: Side, known: boolean) => {
    readiness.set(side, known);
    metrics.connected(side, known);
  };
  const nri = new NriPlugin({
    socketPath: config.nriSocket,
    name: config.pluginName,
    index: config.pluginIndex,
    log,
    clock,
    onState: (synchronized) => {
      if (synchronized) progress.synchronized.set();
      else activeAgent.disconnected();
      setSide("NRI", synchronized);
    },
    onHandled: (event, seconds) => metrics.hookHandled(event, seconds),
  }, nriHandlers(activeAgent));
  const dra = new DraPlugin({
    driver,
    kubeletDir: config.kubeletDir,
    podUid: config.podUid,
    log,
    clock,
    onRegistered: (registered) => setSide("kubelet", registered),
  }, draHandlers(activeAgent, clock));
  const loops = new Loops();
  const lead = () => ({ name: "lead", ok: true, says: activeAgent.agent ? "leads" : "stands by" });
  return {
    config,
    clock,
    log,
    connection,
    events,
    devices,
    ports,
    activeAgent,
    election: new LeaderElection({ lock: new LeadLocks(stateDir), clock, log }),
    nri,
    dra,
    loops,
    readiness,
    observed: {
      health: () => loops.checks(),
      readiness: () => [...readiness.checks(), lead()],
      metrics,
    },
    progress,
    setSide,
  };
}
