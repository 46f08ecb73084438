import type { Attachment, ClaimRef } from "../claim/attachment.ts";
import { IDENTITY } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import { aborted } from "../async/aborted.ts";
import { ClaimAccess } from "./admission/claim_access.ts";
import { ContainerAdmission } from "./admission/container_admission.ts";
import { Gate, type NewContainer } from "./admission/gate.ts";
import { CheckLoop, type CheckLoopOptions } from "./upkeep/check_loop.ts";
import { StatusWriter } from "./status/status_writer.ts";
import { type DeviceHealth, deviceHealth } from "./status/device_health.ts";
import { claimMetadata } from "./status/device_metadata.ts";
import { deviceStatuses } from "./status/device_status.ts";
import { claimsOf, isUntried } from "./attachments/attachment_view.ts";
import { NamespaceWatch } from "./upkeep/namespace_watch.ts";
import { GcLoop } from "./upkeep/gc_loop.ts";
import { tidy } from "./upkeep/tidy_loop.ts";
import { KeyedLock } from "../async/keyed_lock.ts";
import { Limiter } from "../async/limiter.ts";
import type {
  AgentCounts,
  AttachmentPhase,
  ClaimMetadata,
  ClaimRecord,
  DeviceStatus,
  NodeDevice,
  Sandbox,
  UnreadableRecord,
} from "./model.ts";
import type {
  CdiFiles,
  Cluster,
  Cni,
  Devices,
  Events,
  Journal,
  Log,
  Metrics,
  Namespaces,
  Networks,
  PolicyNode,
  Traces,
} from "./ports.ts";
import type { Clock } from "../async/clock.ts";
import { ClaimStore } from "./claims/store.ts";
import { ClaimPlanner } from "./claims/planner.ts";
import { ClaimPreparation, type Prepared } from "./claims/prepare.ts";
import { ClaimRelease } from "./claims/unprepare.ts";
import { assertInterfaceFree } from "./attachments/exclusive_interface.ts";
import { NetworkLocks } from "./attachments/network_locks.ts";
import { recoverAttachment } from "./attachments/recovery.ts";
import { ClaimChanges } from "./attachments/claim_changes.ts";
import { PodAttachments } from "./attachments/pod_attachments.ts";
import { Sandboxes } from "./attachments/sandboxes.ts";
import { rebuildClaims } from "./claims/rebuild.ts";
import { SharedClaims } from "./claims/shared_claims.ts";
import type { AgentLook } from "./snapshot/agent_look.ts";
import { StaleClaims } from "./claims/stale_claims.ts";
import { describeClaim, describePod } from "./describe.ts";
import { errorMessage } from "../async/error_message.ts";

/**
 * The limit of concurrent sandboxes with networks: a node has hundreds of pods. A runtime that
 * keeps reporting new sandboxes and never their end is told that there are too many.
 */
const MOST_SANDBOXES = 4096;

/**
 * Plugins run for some 10 ms; one that takes this long is waiting for an answer, for example from a
 * DHCP server.
 */
const WAITING_AFTER_MS = 100;

/** The ports of the agent (ports.ts): everything outside it. */
export interface AgentPorts {
  readonly cni: Cni;
  readonly cluster: Cluster;
  readonly journal: Journal;
  readonly namespaces: Namespaces;
  readonly cdi: CdiFiles;
  readonly devices: Devices;
  readonly networks: Networks;
  readonly node: PolicyNode;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly traces: Traces;
  readonly events: Events;
}

/** The settings of the agent. */
export interface AgentOptions {
  /** The driver's name in allocation results. */
  readonly driver: string;
  /** The maximum number of concurrent CNI operations on the node. */
  readonly concurrency: number;
  /** The policy for parameters of claims. */
  readonly policy: Policy;
}

/** What the agent does on its own initiative. */
export interface UpkeepOptions extends CheckLoopOptions {
  /** Names of networks that only this driver uses: GC may free everything that is not on record. */
  readonly gcNetworks: readonly string[];
}

/**
 * The use cases of the node agent (docs/design.md: the data flow). It does no I/O itself: every
 * effect goes through a port.
 *
 * Prepare turns a claim into a record of what to attach. When a sandbox starts, the networks of its
 * pod's claims are attached in the background; containers may start once they are attached. When a
 * sandbox stops, they are detached in the background; Unprepare waits for this and forgets the
 * claim.
 */
export class Agent {
  readonly #ports: AgentPorts;
  readonly #options: AgentOptions;
  /** Of claims, by UID. */
  readonly #locks: KeyedLock;
  readonly #limiter: Limiter;
  readonly #networks = new NetworkLocks();
  readonly #claims: ClaimStore;
  readonly #shared: SharedClaims;
  readonly #statuses: StatusWriter;
  readonly #admission: ContainerAdmission;
  readonly #access: ClaimAccess;
  readonly #gate: Gate;
  readonly #checkLoop: CheckLoop;
  readonly #namespaceWatch: NamespaceWatch;
  readonly #preparation: ClaimPreparation;
  readonly #release: ClaimRelease;
  /** Resolves when the runtime has listed its sandboxes for the first time. */
  readonly #synchronized = Promise.withResolvers<void>();
  readonly #sandboxes = new Sandboxes();
  /** Notifies status and admission of changes. */
  readonly #changes = new ClaimChanges();
  /** Possible attachments that are not in the journal, until the runtime has synchronized. */
  #unreadable: readonly UnreadableRecord[] = [];

  constructor(ports: AgentPorts, options: AgentOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#locks = new KeyedLock({ clock: ports.clock, rank: "claim" });
    const waiting = {
      clock: ports.clock,
      after: WAITING_AFTER_MS,
      most: 15 * options.concurrency,
    };
    this.#limiter = new Limiter(options.concurrency, waiting, "operation");
    this.#claims = new ClaimStore(ports.journal);
    const [claims, locks, sandboxes] = [this.#claims, this.#locks, this.#sandboxes];
    const planner = new ClaimPlanner(ports, options);
    this.#shared = new SharedClaims(ports, {
      driver: options.driver,
      claims,
      planner,
      locks,
      isUsed: ({ uid }) => sandboxes.withClaim(uid).length > 0,
      maybeUnused: (claim) => this.#release.releaseUnused([claim]),
    });
    this.#statuses = new StatusWriter(ports, {
      build: (uid) => this.#deviceStatuses(uid),
      changing: (uid) => this.#sandboxes.entriesOf(uid).some(isUntried),
      pods: (uid) => this.#sandboxes.withClaim(uid).map(({ sandbox }) => sandbox.pod),
    });
    this.#admission = new ContainerAdmission({ ...ports, files: ports.cdi });
    this.#access = new ClaimAccess({
      sandboxes,
      admission: this.#admission,
      prepared: () => claims.all(),
      isPrepared: (uid) => claims.get(uid) !== undefined,
      metadata: (claim) => this.#metadata(claim),
    });
    this.#gate = new Gate(ports, {
      sandboxes,
      admission: this.#admission,
      attach: (sandbox) => this.attach(sandbox),
      claimsKnown: (sandbox, signal) => this.#shared.known(sandbox, signal),
      assertPrepared: (sandbox, device) => this.#assertPrepared(sandbox, device),
    });
    this.#checkLoop = new CheckLoop(ports, sandboxes);
    const detach = (sandboxId: string) => this.detach(sandboxId);
    this.#namespaceWatch = new NamespaceWatch(ports, { sandboxes, detach });
    this.#changes.subscribe((claim) => this.#access.update(claim));
    this.#changes.subscribe((claim) => {
      const record = claims.get(claim.uid);
      if (record) this.#statuses.changed(record.claim);
    });
    const shared = this.#shared;
    this.#preparation = new ClaimPreparation(ports, {
      driver: options.driver,
      planner,
      claims,
      shared,
      locks,
      sandboxes,
    });
    this.#release = new ClaimRelease(ports, {
      claims,
      locks,
      sandboxes,
      statuses: this.#statuses,
      admission: this.#admission,
      changes: this.#changes,
      access: this.#access,
      stopGone: (uid) => this.#namespaceWatch.detachGone(sandboxes.withClaim(uid)),
      released: (claim, record) => {
        this.#preparation.released(claim.uid);
        shared.departed(claim, record);
      },
    });
  }

  /** Reads the journal. The agent acts on it once the runtime has listed its sandboxes. */
  async load(): Promise<void> {
    const { claims, attachments, unreadable, departed } = await this.#ports.journal.load();
    this.#unreadable = unreadable;
    for (const record of claims) {
      this.#claims.restore(record);
      this.#preparation.restored(record.claim.uid);
      this.#statuses.restored(record.claim);
    }
    for (const record of attachments) {
      const network = this.#network(record.sandbox);
      network.restore(record);
      this.#sandboxes.update(network, record.claim.uid);
    }
    const sources = { claims: this.#claims, log: this.#ports.log };
    for (const { claim } of await rebuildClaims(attachments, sources)) {
      this.#statuses.restored(claim);
    }
    for (const record of departed) this.#shared.departed(record.claim, record);
    await this.#findLost();
    // The CDI files are still there from the previous agent.
    this.disconnected();
    this.#ports.log.info("read the journal", {
      claims: claims.length,
      attachments: attachments.length,
    });
  }

  /** NodePrepareResources: the claims of one pod. One answer for each claim, by UID. */
  prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    return this.#preparation.prepare(refs, signal);
  }

  /**
   * NodeUnprepareResources: waits for the DELs, then forgets the claims. At most one error for each
   * claim.
   */
  unprepare(
    refs: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<Map<string, { error?: string }>> {
    return this.#release.unprepare(refs, signal);
  }

  /** RunPodSandbox: starts to attach the networks of the pod's claims. Returns at once. */
  attach(sandbox: Sandbox): void {
    // A pod gets a new sandbox when its old one is gone, which the runtime may not have reported.
    const networks = this.#claims.ofPod(sandbox.pod.uid).flatMap(({ claim }) =>
      this.#sandboxes.withClaim(claim.uid)
    );
    for (const { sandbox: { id, pod } } of networks) {
      if (pod.uid === sandbox.pod.uid && id !== sandbox.id) this.#namespaceWatch.detachIfGone(id);
    }
    this.#begin(sandbox, { started: false });
  }

  /**
   * CreateContainer: resolves when the pod's networks are attached; rejects with the cause if they
   * cannot be attached, or are not when the signal is aborted.
   */
  gate(sandbox: Sandbox, container: NewContainer): Promise<void> {
    return this.#gate.pass(sandbox, container);
  }

  /**
   * StopPodSandbox, RemovePodSandbox: holds the network namespace and starts to detach. Returns at
   * once.
   */
  detach(sandboxId: string): void {
    this.#shared.stopped(sandboxId);
    const network = this.#sandboxes.get(sandboxId);
    if (!network) return;
    const claims = claimsOf(network.entries);
    network.stop();
    for (const claim of claims) this.#changes.publish(claim);
    this.#release.releaseUnused(claims);
  }

  /**
   * A container waits for its networks at another agent of the node, in a sandbox that the runtime may
   * not have reported to this one. Returns at once.
   *
   * @returns whether that is done; not while the networks are being detached
   */
  attachWaiting(sandbox: Sandbox): boolean {
    this.#takeUp(sandbox, { started: false });
    return !this.#sandboxes.get(sandbox.id)?.stopped;
  }

  /**
   * A claim was prepared whose pods already have sandboxes: its records were lost while they were
   * running. Returns at once.
   */
  takeUp(claimUid: string, sandboxes: readonly Sandbox[], started: ReadonlySet<string>): void {
    const pods = new Set(this.#claims.get(claimUid)?.pods.map(({ uid }) => uid));
    for (const sandbox of sandboxes) {
      if (!pods.has(sandbox.pod.uid)) continue;
      this.#takeUp(sandbox, { started: started.has(sandbox.id) });
    }
  }

  /**
   * Synchronize: the runtime lists its sandboxes. Attaches what is missing, detaches what is
   * orphaned, and updates the CDI files.
   *
   * @param started ids of the sandboxes in which containers were created already
   */
  async reconcile(sandboxes: readonly Sandbox[], started: ReadonlySet<string>): Promise<void> {
    // A runtime lists stopped sandboxes too; those have lost their namespace.
    const living = new Set<string>();
    for (const sandbox of sandboxes) {
      if (this.#takeUp(sandbox, { started: started.has(sandbox.id) })) living.add(sandbox.id);
    }
    for (const { sandbox: { id } } of this.#sandboxes.all()) if (!living.has(id)) this.detach(id);
    this.#shared.onlyLiving(living);
    // Not earlier: a sandbox that ended meanwhile must not count instead of its replacement.
    this.#access.setRuntimeAway(false);
    const prepared = this.#claims.all().map(({ claim }) => claim.uid);
    await this.#admission.removeOthers(new Set(prepared));
    this.#ports.log.info("synchronized with the container runtime", {
      sandboxes: sandboxes.length,
      withNetworks: this.#sandboxes.size,
    });
    // All possible attachments are known now.
    const uids = new Set(this.#unreadable.map(({ claimUid }) => claimUid));
    this.#unreadable = [];
    for (const uid of uids) {
      const record = this.#claims.get(uid);
      if (record) this.#statuses.changed(record.claim);
    }
    this.#release.releaseUnused(this.#claims.all().map(({ claim }) => claim));
    this.#synchronized.resolve();
  }

  /**
   * The runtime is disconnected: until it has synchronized, no container that names a claim is
   * created, not even in pods whose networks are all attached, because they may get a new sandbox
   * meanwhile that nobody reports. Returns at once.
   */
  disconnected(): void {
    this.#access.setRuntimeAway(true);
  }

  /**
   * Periodic work, from the first synchronization until the signal is aborted: checks attachments
   * and claims, and runs GC.
   */
  async upkeep(options: UpkeepOptions, signal: AbortSignal): Promise<void> {
    await Promise.race([this.#synchronized.promise, aborted(signal)]);
    const sources = {
      driver: this.#options.driver,
      sandboxes: this.#sandboxes,
      claims: this.#claims,
      limiter: this.#limiter,
      locks: this.#networks,
      release: (record: ClaimRecord, why: string, until: AbortSignal) =>
        this.#release.releaseStale(record, why, until),
    };
    await Promise.all([
      this.#checkLoop.run(options, signal),
      this.#namespaceWatch.run(signal),
      new StaleClaims(this.#ports, sources).run(signal),
      new GcLoop(this.#ports, sources).run(options.gcNetworks, signal),
      tidy(this.#ports, { claims: this.#shared, signal }),
    ]);
  }

  /**
   * An administrator asks to forget a claim that cannot be detached: see {@link
   * ClaimRelease.forget}.
   */
  forget(name: string, signal: AbortSignal): Promise<string> {
    return this.#release.forget(name, signal);
  }

  /** The interface of a device is gone from the node. Returns at once. */
  deviceGone(device: NodeDevice): void {
    this.#checkLoop.deviceGone(device);
  }

  /** Counts of what the agent keeps. */
  counts(): AgentCounts {
    const attachments: Record<AttachmentPhase, number> = {
      attaching: 0,
      attached: 0,
      lost: 0,
      attach_failed: 0,
      detaching: 0,
      detach_failed: 0,
    };
    let attachment = 0;
    for (const { entries } of this.#sandboxes.all()) {
      for (const entry of entries) {
        attachments[entry.phase]++;
        if (entry.recorded) attachment++;
      }
    }
    return { attachments, records: { claim: this.#claims.all().length, attachment } };
  }

  /**
   * All that the agent keeps as it is now, in values that stay as they are: cheap, so that who makes
   * much of it can take its time.
   */
  look(): AgentLook {
    return {
      claims: this.#claims.all(),
      refused: this.#preparation.refused(),
      sandboxes: this.#sandboxes.all().map((network) => network.look()),
    };
  }

  /** Every device of the prepared claims, once. */
  deviceHealth(): DeviceHealth[] {
    return deviceHealth(this.#claims.all(), (uid) => this.#sandboxes.entriesOf(uid));
  }

  /** The names of the devices that prepared claims hold. */
  allocatedDevices(): string[] {
    const held = this.#claims.all().flatMap(({ attachments }) => attachments);
    return [...new Set(held.map(({ device }) => device))];
  }

  /** Lets running operations finish and starts nothing new. */
  async close(): Promise<void> {
    this.#shared.close();
    await this.#release.close();
    await this.#statuses.close();
    await Promise.all(this.#sandboxes.all().map((network) => network.close()));
    await this.#access.close();
    // No record may be written after the next leader has read them.
    await this.#claims.settled();
  }

  /** Claims that were in use, according to their CDI files, but have no record. */
  async #findLost(): Promise<void> {
    try {
      for (const claim of await this.#ports.cdi.claims()) {
        if (!this.#claims.get(claim.uid)) this.#shared.lost(claim);
      }
    } catch (error) {
      const about = { error: errorMessage(error) };
      this.#ports.log.warn("cannot tell which claims were in use", about);
    }
  }

  #metadata(claim: ClaimRef): ClaimMetadata {
    const record = this.#claims.get(claim.uid);
    if (!record) return { claim, devices: [] };
    const entries = this.#sandboxes.entriesOf(claim.uid);
    return claimMetadata(record, { entries, devices: this.#ports.devices });
  }

  /** Refuses invalid sandboxes, which no correct runtime reports. */
  #assertRoom({ id }: Sandbox): void {
    // Plugins would refuse it, even at DEL, and the claim could not be unprepared.
    if (!IDENTITY.test(id)) {
      throw new Error(`${JSON.stringify(id.slice(0, 80))} is not a sandbox ID`);
    }
    if (!this.#sandboxes.get(id) && this.#sandboxes.size >= MOST_SANDBOXES) {
      throw new Error(
        `${MOST_SANDBOXES} sandboxes already have networks: the container runtime has not reported ` +
          "which of them have stopped",
      );
    }
  }

  /** @returns whether the sandbox that the runtime reports is alive */
  #takeUp(reported: Sandbox, { started }: { readonly started: boolean }): boolean {
    const known = this.#sandboxes.get(reported.id);
    // Here, some runtimes leave out the namespace that they named when the sandbox started.
    const sandbox = reported.netns || !known ? reported : known.sandbox;
    // Nothing runs in an incomplete sandbox, so it must not count for the pod.
    if (sandbox.incomplete || this.#hasEnded(sandbox)) return false;
    try {
      this.#begin(sandbox, { started });
    } catch (error) {
      // An invalid report about one pod must not affect the networks of the others.
      this.#ports.log.error(`cannot attach the networks of ${describePod(sandbox.pod)}`, {
        sandbox: sandbox.id,
        error: errorMessage(error),
      });
    }
    return true;
  }

  /**
   * If this cannot be determined now, the sandbox counts as alive: the next operation in it will
   * find out.
   */
  #hasEnded({ netns, pod }: Sandbox): boolean {
    try {
      return netns !== undefined && this.#ports.namespaces.classify(netns) === "gone";
    } catch (error) {
      const about = { netns, error: errorMessage(error) };
      this.#ports.log.warn(`cannot tell whether the sandbox of ${describePod(pod)} lives`, about);
      return false;
    }
  }

  #begin(sandbox: Sandbox, { started }: { readonly started: boolean }): void {
    if (started) this.#sandboxes.get(sandbox.id)?.containersStarted();
    const unreadable = this.#unreadable;
    const want = (record: ClaimRecord) => {
      const { claim, attachments } = record;
      assertSamePod(record, sandbox);
      this.#assertRoom(sandbox);
      const network = this.#network(sandbox);
      if (started) network.containersStarted();
      const isUnreadable = (attachment: Attachment) =>
        unreadable.some((record) => record.isOf({ claim, sandbox, attachment }));
      network.want(claim, attachments, { isUnreadable });
      this.#sandboxes.update(network, claim.uid);
      this.#changes.publish(claim);
    };
    for (const record of this.#claims.ofPod(sandbox.pod.uid)) want(record);
    this.#shared.look(sandbox, want);
  }

  #network(sandbox: Sandbox): PodAttachments {
    const known = this.#sandboxes.get(sandbox.id);
    if (known) return known;
    const network: PodAttachments = new PodAttachments(sandbox, {
      ...this.#ports,
      limiter: this.#limiter,
      networks: this.#networks,
      assertInterfaceFree: ({ claim, attachment }) =>
        assertInterfaceFree(
          { sandbox, claim, attachment },
          () => this.#sandboxes.withClaim(claim.uid),
        ),
      recall: (record, pod) =>
        recoverAttachment(record, {
          ...this.#ports,
          limiter: this.#limiter,
          driver: this.#options.driver,
          ...pod,
        }),
    }, (claim) => {
      this.#sandboxes.update(network, claim.uid);
      this.#changes.publish(claim);
    });
    this.#sandboxes.add(network);
    return network;
  }

  /**
   * Undefined while the outcome of an ADD is unknown: the claim's status may be the only source.
   */
  #deviceStatuses(claimUid: string): DeviceStatus[] | undefined {
    const record = this.#claims.get(claimUid);
    if (!record) return [];
    // The status may be the only record of what is attached, so it is not overwritten before it was
    // read.
    if (this.#unreadable.some((each) => each.claimUid === claimUid)) return undefined;
    const asksStatus = this.#sandboxes.withClaim(claimUid).some((network) =>
      // It says nothing about a sandbox on the host's network, in which nothing was ever attached.
      network.sandbox.netns !== undefined &&
      network.of(claimUid).some(({ wanted, unknown }) => wanted && unknown)
    );
    if (asksStatus) return undefined;
    const entries = this.#sandboxes.entriesOf(claimUid);
    return deviceStatuses(record, { driver: this.#options.driver, entries });
  }

  #assertPrepared({ pod }: Sandbox, cdiDevice: string): void {
    const uid = this.#ports.cdi.claimUid(cdiDevice);
    if (!uid || this.#claims.ofPod(pod.uid).some(({ claim }) => claim.uid === uid)) return;
    throw new Error(
      this.#claims.get(uid)
        ? `the claim ${uid} is not reserved for ${describePod(pod)}`
        : `the claim ${uid} of ${describePod(pod)} is not known on this node: ` +
          "the agent's records of it are lost; recreate the pod",
    );
  }
}

/**
 * The runtime and the API server must mean the same pod, because its name is passed to the plugins.
 */
function assertSamePod({ claim, pods }: ClaimRecord, { pod }: Sandbox): void {
  const known = pods.find(({ uid }) => uid === pod.uid);
  if (known && known.name === pod.name && claim.namespace === pod.namespace) return;
  const reserved = describePod({ ...pod, namespace: claim.namespace, name: known?.name ?? "?" });
  throw new Error(
    `the container runtime calls the pod ${pod.uid} ${
      JSON.stringify(pod.name).slice(0, 300)
    }, but ` +
      `${describeClaim(claim)} is reserved for ${reserved}`,
  );
}
