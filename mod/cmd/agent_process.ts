import { type Clock, systemClock } from "../async/clock.ts";
import { Latch } from "../async/latch.ts";
import type { AgentPorts } from "../agent/agent.ts";
import { AddressBook } from "../addresses/address_book.ts";
import { AddressedCni } from "../addresses/addressed_cni.ts";
import { LeaderElection } from "../agent/handover/leader_election.ts";
import { NodeDevices } from "../agent/devices/node_devices.ts";
import type { Log } from "../agent/ports.ts";
import { ActiveAgent } from "../agent/handover/active_agent.ts";
import { CdiSpecFiles } from "../cdi/spec_files.ts";
import { PluginFolders } from "../cni/plugin_folders.ts";
import { Plugins } from "../cni/plugins.ts";
import type { RunProgram } from "../cni/program.ts";
import { CniRunner } from "../cni/runner.ts";
import { DraPlugin } from "../dra/plugin.ts";
import { readNodeAddresses } from "../inventory/node_addresses.ts";
import { NodeInventory } from "../inventory/node_inventory.ts";
import { type ReadTexts, SysfsLinks } from "../inventory/sysfs.ts";
import { FileJournal } from "../journal/journal.ts";
import { FileWaitingSandboxes } from "../journal/waiting_sandboxes.ts";
import { LeadLocks } from "../lead/lead_locks.ts";
import { KubeAccessReview } from "../kube/access_review.ts";
import { KubeAddressApi } from "../kube/address_api.ts";
import { ApiAccess } from "../kube/api_access.ts";
import { KubeCluster } from "../kube/cluster.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeEvents } from "../kube/events.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { SlicePool } from "../kube/slice_pool.ts";
import { HostNamespaces } from "../netns/host_namespaces.ts";
import type { ListInterfaces } from "../netns/interface_lister.ts";
import { NriPlugin } from "../nri/plugin.ts";
import { Loops } from "../observe/loops.ts";
import { PrometheusMetrics, type Side } from "../observe/metrics.ts";
import { Needs } from "../observe/needs.ts";
import { certificateFiles, type ReadCertificate } from "../observe/certificate.ts";
import type { SecureMetrics } from "../observe/secure_metrics.ts";
import { selfSigned } from "../certificates/self_signed.ts";
import { NO_TRACES, PodTraces } from "../observe/traces.ts";
import { addStep } from "../cni/add_step.ts";
import { agentName, type Observed } from "../observe/server.ts";
import type { SettingStatus } from "../status/document.ts";
import type { DocumentParts } from "../status/document_text.ts";
import { agentStatus } from "./agent_status.ts";
import { draHandlers } from "./dra_handlers.ts";
import { type NetworkSources, networkSources } from "./network_sources.ts";
import { nriHandlers } from "./nri_handlers.ts";
import type { RunConfig } from "./run_config.ts";
import { VERSION } from "./version.ts";

export interface AgentProcessOptions {
  /** The configuration's settings, for `status`. */
  readonly settings?: readonly SettingStatus[];
  readonly log: Log;
  /** Runs plugins. */
  readonly run: RunProgram;
  /** Reads files that Deno does not allow the agent to read. */
  readonly read: ReadTexts;
  /** Lists the interfaces in pods. */
  readonly interfaces: ListInterfaces;
}

/** The stages of a starting agent. */
export interface Progress {
  /** The container runtime has listed its sandboxes, and the agent has processed the list. */
  readonly synchronized: Latch;
  /** The agent leads, or has led. */
  readonly led: Latch;
  /** The sockets for the kubelet exist. */
  readonly listens: Latch;
}

/** The objects of one agent, before any of them does anything. */
export interface AgentProcess {
  readonly config: RunConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly connection: KubeConnection;
  readonly events: KubeEvents;
  readonly devices: NodeDevices;
  readonly networkFollowers: NetworkSources["followers"];
  /** Undefined if the agent reads no Networks of the cluster. */
  readonly addresses: AddressBook | undefined;
  readonly ports: AgentPorts;
  readonly activeAgent: ActiveAgent;
  readonly election: LeaderElection;
  readonly nri: NriPlugin;
  readonly dra: DraPlugin;
  readonly apiAccess: ApiAccess;
  readonly loops: Loops;
  readonly needs: Needs;
  readonly observed: Observed;
  readonly secureMetrics: SecureMetrics;
  /** Undefined if traces are off. */
  readonly traces: PodTraces | undefined;
  /** The agent's current status. */
  readonly status: () => DocumentParts;
  readonly progress: Progress;
}

/**
 * Creates the objects of an agent and connects them.
 *
 * @throws Error when it cannot start at all: credentials, socket paths
 */
export function agentProcess(
  config: RunConfig,
  { settings = [], log, run, read, interfaces }: AgentProcessOptions,
): AgentProcess {
  const { driverName: driver, nodeName, stateDir } = config;
  const clock = systemClock;
  const startedAt = clock.now();
  const connection = new KubeConnection({ kubeconfig: config.kubeconfig });
  const folders = new PluginFolders(config);
  const plugins = new Plugins({
    folders,
    timeout: config.cniTimeout,
    run,
    onRun: (operation) => {
      metrics.pluginRan(operation);
      const step = addStep(operation);
      if (step) traces?.ended(step);
    },
  });
  const metrics = new PrometheusMetrics({ plugins: folders.types(), version: VERSION });
  const traces = config.tracesEndpoint === "" ? undefined : new PodTraces({
    endpoint: config.tracesEndpoint,
    nodeName,
    version: VERSION,
    clock,
    log,
  });
  const events = new KubeEvents(connection, {
    component: driver,
    host: nodeName,
    clock,
    log,
    traceOf: traces && ((uid) => traces.idOf(uid)),
  });
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
  const sources = networkSources(config, { connection, clock, log });
  const addresses = config.networkObjects
    ? new AddressBook({
      api: new KubeAddressApi(connection, {
        source: new KubeObjectSource(connection),
        clock,
        metrics: metrics.addresses,
      }),
      node: nodeName,
      clock,
      log,
      metrics: metrics.addresses,
      events,
    })
    : undefined;
  const cdi = new CdiSpecFiles(config.cdiDir, { driver, metadata: config.deviceMetadata });
  const ports = {
    cni: new AddressedCni(new CniRunner(plugins), addresses),
    cluster: new KubeCluster(connection, { driver, nodeName }),
    journal: new FileJournal(stateDir, { log }),
    waiting: new FileWaitingSandboxes(stateDir),
    namespaces: new HostNamespaces(stateDir, { interfaces }),
    cdi,
    devices,
    networks: sources.networks,
    node: inventory,
    clock,
    log,
    metrics,
    traces: traces ?? NO_TRACES,
    events,
  };
  const activeAgent = new ActiveAgent(ports);
  metrics.countsFrom(() => activeAgent.agent?.counts());
  const progress = {
    synchronized: new Latch(),
    led: new Latch(),
    listens: new Latch(),
  };
  const setSide = (side: Side, known: boolean) => {
    needs.look();
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
  const apiAccess = new ApiAccess(connection, { clock, onChange: () => needs.look() });
  const needs = new Needs([
    { name: "NRI", met: "synchronized", lack: () => nri.lack() },
    { name: "kubelet", met: "registered", lack: () => dra.lack() },
    { name: "API server", met: "answers", lack: () => apiAccess.lack() },
    { name: "CNI plugins", met: "there", lack: () => folders.lack() },
    ...config.cdiDir === "" ? [] : [{ name: "CDI folder", met: "there", lack: () => cdi.lack() }],
  ], { clock, log });
  metrics.readyWhen(() => needs.checks().every(({ ok }) => ok));
  const loops = new Loops();
  const lead = () => ({ name: "lead", ok: true, says: activeAgent.agent ? "leads" : "stands by" });
  return {
    config,
    clock,
    log,
    connection,
    events,
    devices,
    networkFollowers: sources.followers,
    addresses,
    ports,
    activeAgent,
    election: new LeaderElection({ lock: new LeadLocks(stateDir), clock, log }),
    nri,
    dra,
    apiAccess,
    loops,
    needs,
    observed: {
      agent: agentName(config),
      health: () => loops.checks(),
      readiness: () => [...needs.checks(), lead()],
      ...config.metricsSecure === null && { metrics },
    },
    traces,
    secureMetrics: {
      metrics,
      access: new KubeAccessReview(connection, { path: "/metrics" }),
      certificate: servingCertificate(config, clock),
    },
    status: () => agentStatus(config, { settings, startedAt, clock, needs, activeAgent, devices }),
    progress,
  };
}

/** The certificate of the given files, or a self-signed one, which is made on first use. */
function servingCertificate(
  { metricsCert: cert, metricsKey: key, nodeName }: RunConfig,
  clock: Clock,
): ReadCertificate {
  if (cert !== "") return certificateFiles({ cert, key });
  let own: ReturnType<typeof selfSigned> | undefined;
  return () => Promise.resolve(own ??= selfSigned([nodeName, "localhost"], clock.now()));
}
