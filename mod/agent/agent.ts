import type { ClaimRef } from "../claim/attachment.ts";
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
} from "./ports.ts";
import type { Clock } from "../async/clock.ts";
import { ClaimStore } from "./claims/store.ts";
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
import { StaleClaims } from "./claims/stale_claims.ts";
import { describeClaim, describePod } from "./describe.ts";
import { errorMessage } from "../async/error_message.ts";

/**
 * Sandboxes with networks at once: a node has hundreds of pods. A runtime that goes on to tell of new
 * ones and never of their end is told that there are too many.
 */
const MOST_SANDBOXES = 4096;

/** Plugins work for some 10 ms; one that takes this long waits for an answer, as from a DHCP server. */
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
  readonly events: Events;
}

/** The settings of the agent. */
export interface AgentOptions {
  /** The driver's name in allocation results. */
  readonly driver: string;
  /** CNI operations under way at once on the node. */
  readonly concurrency: number;
  /** What parameters of claims may hold. */
  readonly policy: Policy;
}

/** What the agent does on its own initiative. */
export interface UpkeepOptions extends CheckLoopOptions {
  /** Names of networks that are this driver's alone: GC may free what is not in its books. */
  readonly gcNetworks: readonly string[];
}

/**
 * The use cases of the node agent (design: the way of the data). It does no I/O of its own: every
 * effect goes through a port.
 *
 * Prepare turns a claim into a record of what to attach; a sandbox that starts gets what its pod's
 * claims ask for, in the background; a container is let in when that is there; a sandbox that stops
 * is detached in the background; Unprepare waits for that and lets the claim go.
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
  /** Resolves when the runtime has said for the first time which sandboxes live. */
  readonly #synchronized = Promise.withResolvers<void>();
  readonly #sandboxes = new Sandboxes();
  /** Tells status and admission of what changed. */
  readonly #changes = new ClaimChanges();
  /** UIDs of claims of which there may be attachments that the journal does not name. */
  readonly #unreadable = new Set<string>();
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
    this.#shared = new SharedClaims(ports, {
      driver: options.driver,
      claims,
      locks,
      maybeUnused: (claim) => this.#release.releaseUnused([claim]),
    });
    this.#statuses = new StatusWriter(ports, {
      build: (uid) => this.#deviceStatuses(uid),
      changing: (uid) => this.#sandboxes.entriesOf(uid).some(isUntried),
    });
    this.#admission = new ContainerAdmission({ ...ports, files: ports.cdi });
    this.#access = new ClaimAccess({
      sandboxes,
      admission: this.#admission,
      prepared: () => claims.all(),
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
      ...options,
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
      stopGone: (uid) => this.#namespaceWatch.detachGone(sandboxes.withClaim(uid)),
      released: (record) => {
        this.#preparation.released(record.claim.uid);
        shared.departed(record);
      },
    });
  }

  /** Reads the journal. What it holds is acted on when the runtime says which sandboxes live. */
  async load(): Promise<void> {
    const { claims, attachments, unreadable } = await this.#ports.journal.load();
    for (const uid of unreadable) this.#unreadable.add(uid);
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
    // The CDI files stand since the agent was there last.
    this.disconnected();
    this.#ports.log.info("read the journal", {
      claims: claims.length,
      attachments: attachments.length,
    });
  }

  /** NodePrepareResources: the claims of one pod. One answer a claim, by UID. */
  prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    return this.#preparation.prepare(refs, signal);
  }

  /** NodeUnprepareResources: waits for the DELs, then lets the claims go. One error or none a claim. */
  unprepare(
    refs: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<Map<string, { error?: string }>> {
    return this.#release.unprepare(refs, signal);
  }

  /** RunPodSandbox: begins to attach what the pod's claims ask for. Returns at once. */
  attach(sandbox: Sandbox): void {
    // A pod gets a new sandbox when its old one is gone, of which the runtime may have said nothing.
    const networks = this.#claims.ofPod(sandbox.pod.uid).flatMap(({ claim }) =>
      this.#sandboxes.withClaim(claim.uid)
    );
    for (const { sandbox: { id, pod } } of networks) {
      if (pod.uid === sandbox.pod.uid && id !== sandbox.id) this.#namespaceWatch.detachIfGone(id);
    }
    this.#begin(sandbox, { started: false });
  }

  /**
   * CreateContainer: resolves when the pod's networks are there; rejects with the cause when they
   * are not by the time the signal is aborted, or cannot be.
   */
  gate(sandbox: Sandbox, container: NewContainer): Promise<void> {
    return this.#gate.pass(sandbox, container);
  }

  /** StopPodSandbox, RemovePodSandbox: holds the network namespace and begins to detach. Returns at once. */
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
   * A claim was prepared of whose pods sandboxes are there already: the records of it were lost while
   * they ran. Returns at once.
   */
  takeUp(claimUid: string, sandboxes: readonly Sandbox[], started: ReadonlySet<string>): void {
    const pods = new Set(this.#claims.get(claimUid)?.pods.map(({ uid }) => uid));
    for (const sandbox of sandboxes) {
      if (!pods.has(sandbox.pod.uid)) continue;
      this.#takeUp(sandbox, { started: started.has(sandbox.id) });
    }
  }

  /**
   * Synchronize: the runtime says which sandboxes there are. Attaches what is missing, detaches
   * what is orphaned, and brings the CDI files in line.
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
    // Not before: what ended meanwhile must not speak for what took its place.
    this.#access.setRuntimeAway(false);
    const used = this.#claims.all().filter(({ claim }) => this.#sandboxes.inUse(claim.uid));
    await this.#admission.removeOthers(new Set(used.map(({ claim }) => claim.uid)));
    this.#ports.log.info("synchronized with the container runtime", {
      sandboxes: sandboxes.length,
      withNetworks: this.#sandboxes.size,
    });
    // All that may be attached is known now.
    for (const uid of this.#unreadable) {
      this.#unreadable.delete(uid);
      const record = this.#claims.get(uid);
      if (record) this.#statuses.changed(record.claim);
    }
    this.#release.releaseUnused(this.#claims.all().map(({ claim }) => claim));
    this.#synchronized.resolve();
  }

  /**
   * The runtime is disconnected: until it has synchronized, no container that names a claim
   * is created. Not in pods either of which all networks are there: they may get a new sandbox
   * meanwhile, of which nobody tells. Returns at once.
   */
  disconnected(): void {
    this.#access.setRuntimeAway(true);
  }

  /**
   * What nobody asks for, once the runtime has synchronized and until the signal is aborted: whether
   * what is attached is still there, whether claims are, and GC.
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
    ]);
  }

  /** An administrator wants a claim let go that cannot be detached: see {@link ClaimRelease.forget}. */
  forget(name: string, signal: AbortSignal): Promise<string> {
    return this.#release.forget(name, signal);
  }

  /** The interface of a device is gone from the node. Returns at once. */
  deviceGone(device: NodeDevice): void {
    this.#checkLoop.deviceGone(device);
  }

  /** How many there are of what the agent keeps. */
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

  /** Every device of the prepared claims, once. */
  deviceHealth(): DeviceHealth[] {
    return deviceHealth(this.#claims.all(), (uid) => this.#sandboxes.entriesOf(uid));
  }

  /** The names of the devices that prepared claims hold. */
  allocatedDevices(): string[] {
    const held = this.#claims.all().flatMap(({ attachments }) => attachments);
    return [...new Set(held.map(({ device }) => device))];
  }

  /** Lets running operations finish and does nothing further. */
  async close(): Promise<void> {
    this.#shared.close();
    await this.#release.close();
    await this.#statuses.close();
    await Promise.all(this.#sandboxes.all().map((network) => network.close()));
    await this.#access.close();
  }

  #metadata(claim: ClaimRef): ClaimMetadata {
    const record = this.#claims.get(claim.uid);
    if (!record) return { claim, devices: [] };
    const entries = this.#sandboxes.entriesOf(claim.uid);
    return claimMetadata(record, { entries, devices: this.#ports.devices });
  }

  /** Refuses sandboxes that no runtime can mean. */
  #assertRoom({ id }: Sandbox): void {
    // Plugins would refuse it, at the DEL too, and the claim could not be unprepared.
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

  /** @returns whether the sandbox that the runtime tells of lives */
  #takeUp(reported: Sandbox, { started }: { readonly started: boolean }): boolean {
    const known = this.#sandboxes.get(reported.id);
    // Some runtimes leave the namespace out here that they named at the start of the sandbox.
    const sandbox = reported.netns || !known ? reported : known.sandbox;
    // In one that was never whole nothing runs, and it must not speak for the pod.
    if (sandbox.incomplete) return false;
    try {
      const { netns } = sandbox;
      if (netns && this.#ports.namespaces.classify(netns) === "gone") return false;
      this.#begin(sandbox, { started });
    } catch (error) {
      // One pod that the runtime tells nonsense of must not keep the others from their networks.
      this.#ports.log.error(`cannot attach the networks of ${describePod(sandbox.pod)}`, {
        sandbox: sandbox.id,
        error: errorMessage(error),
      });
    }
    return true;
  }

  #begin(sandbox: Sandbox, { started }: { readonly started: boolean }): void {
    if (started) this.#sandboxes.get(sandbox.id)?.containersStarted();
    const unreadable = new Set(this.#unreadable);
    const want = (record: ClaimRecord) => {
      const { claim, attachments } = record;
      assertSamePod(record, sandbox);
      this.#assertRoom(sandbox);
      const network = this.#network(sandbox);
      if (started) network.containersStarted();
      network.want(claim, attachments, { uncertain: unreadable.has(claim.uid) });
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
      recall: (record, runtime) =>
        recoverAttachment(record, {
          ...this.#ports,
          limiter: this.#limiter,
          driver: this.#options.driver,
          runtime,
        }),
    }, (claim) => {
      this.#sandboxes.update(network, claim.uid);
      this.#changes.publish(claim);
    });
    this.#sandboxes.add(network);
    return network;
  }

  /** Undefined while it is not known what became of an ADD: what the claim says may be all that tells. */
  #deviceStatuses(claimUid: string): DeviceStatus[] | undefined {
    const record = this.#claims.get(claimUid);
    if (!record) return [];
    const entries = this.#sandboxes.entriesOf(claimUid);
    // The status may be all that tells what is attached: it is not written over before it was read.
    if (this.#unreadable.has(claimUid)) return undefined;
    if (entries.some(({ wanted, unknown }) => wanted && unknown)) return undefined;
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

/** The runtime and the API server must mean the same pod: its name goes to the plugins. */
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
