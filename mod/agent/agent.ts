import type { ClaimRef } from "../claim/attachment.ts";
import { IDENTITY } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import { aborted } from "../async/aborted.ts";
import { ContainerAdmission, type Mark } from "./admission/container_admission.ts";
import { CheckLoop, type CheckLoopOptions } from "./upkeep/check_loop.ts";
import { StatusWriter } from "./status/status_writer.ts";
import { type DeviceHealth, deviceHealth } from "./status/device_health.ts";
import { claimMetadata } from "./status/device_metadata.ts";
import { deviceStatuses } from "./status/device_status.ts";
import { attachmentKey, claimsOf, isUntried } from "./attachments/attachment_view.ts";
import { GcLoop } from "./upkeep/gc_loop.ts";
import { KeyedLock } from "../async/keyed_lock.ts";
import { Limiter } from "../async/limiter.ts";
import type {
  AgentCounts,
  AttachmentPhase,
  AttachmentRecord,
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
import { PodAttachments } from "./attachments/pod_attachments.ts";
import { Sandboxes } from "./attachments/sandboxes.ts";
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
const WAITING_AFTER = 100;

/** How often the namespaces of sandboxes are checked for existence, in milliseconds. */
const NAMESPACES_INTERVAL = 5_000;

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
  readonly #marks: ContainerAdmission;
  readonly #checkup: CheckLoop;
  readonly #preparation: ClaimPreparation;
  readonly #release: ClaimRelease;
  /** Resolves when the runtime has said for the first time which sandboxes live. */
  readonly #synchronized = Promise.withResolvers<void>();
  readonly #sandboxes = new Sandboxes();
  /** UIDs of claims of which there may be attachments that the journal does not name. */
  readonly #unreadable = new Set<string>();
  /** Whether sandboxes may come of which the runtime cannot tell the agent. */
  #away = false;

  constructor(ports: AgentPorts, options: AgentOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#locks = new KeyedLock({ clock: ports.clock, rank: "claim" });
    const waiting = {
      clock: ports.clock,
      after: WAITING_AFTER,
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
    this.#marks = new ContainerAdmission({ files: ports.cdi, clock: ports.clock, log: ports.log });
    this.#checkup = new CheckLoop(ports, this.#sandboxes);
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
      admission: this.#marks,
      stopGone: (uid) => this.#stopGone(sandboxes.withClaim(uid)),
      mark: (claim) => void this.#mark(claim),
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
    await this.#rebuildClaims(attachments);
    // The CDI files stand since the agent was there last.
    this.disconnected();
    this.#ports.log.info("read the journal", {
      claims: claims.length,
      attachments: attachments.length,
    });
  }

  /** A claim whose record cannot be read is what its attachments say: the kubelet prepares it once. */
  async #rebuildClaims(attachments: readonly AttachmentRecord[]): Promise<void> {
    const lost = attachments.filter(({ claim }) => !this.#claims.get(claim.uid));
    for (const uid of new Set(lost.map(({ claim }) => claim.uid))) {
      const own = lost.filter(({ claim }) => claim.uid === uid);
      const [{ claim }] = own as [AttachmentRecord];
      const pods = new Map(own.map(({ sandbox: { pod } }) => [pod.uid, pod]));
      const wanted = new Map(own.map(({ attachment }) => [
        attachmentKey(claim, attachment),
        attachment,
      ]));
      const record: ClaimRecord = {
        claim,
        pods: [...pods.values()].map(({ name, uid }) => ({ name, uid })),
        // Whether it is cannot be told; then it is asked for.
        shareable: true,
        attachments: [...wanted.values()],
      };
      this.#ports.log.warn(`rebuilt the record of ${describeClaim(claim)} from its attachments`);
      await this.#claims.put(record).catch((error) => {
        // The disk takes nothing at the moment; the attachments have it the next time too.
        this.#ports.log.warn(`cannot write the record of ${describeClaim(claim)}`, {
          error: errorMessage(error),
        });
        this.#claims.restore(record);
      });
      this.#statuses.restored(claim);
    }
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
      if (pod.uid === sandbox.pod.uid && id !== sandbox.id) this.#detachIfGone(id);
    }
    this.#begin(sandbox, { started: false });
  }

  /**
   * CreateContainer: resolves when the pod's networks are there; rejects with the cause when they
   * are not by the time the signal is aborted, or cannot be.
   *
   * @param cdiDevices the CDI devices of the container: they name the claims it uses
   */
  async gate(
    sandbox: Sandbox,
    options: { readonly cdiDevices: readonly string[]; readonly signal: AbortSignal },
  ): Promise<void> {
    const { clock, metrics } = this.#ports;
    const began = clock.now().getTime();
    const waited = () => (clock.now().getTime() - began) / 1000;
    try {
      await this.#passGate(sandbox, options);
    } catch (error) {
      metrics.gateWaited(options.signal.aborted ? "timeout" : "refused", waited());
      throw error;
    }
    // Containers of other pods pass at once, and would hide those that wait.
    if (this.#sandboxes.get(sandbox.id)) metrics.gateWaited("opened", waited());
  }

  /** StopPodSandbox, RemovePodSandbox: holds the network namespace and begins to detach. Returns at once. */
  detach(sandboxId: string): void {
    this.#shared.stopped(sandboxId);
    const network = this.#sandboxes.get(sandboxId);
    if (!network) return;
    const claims = claimsOf(network.entries);
    network.stop();
    for (const claim of claims) void this.#mark(claim);
    this.#release.releaseUnused(claims);
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
    for (const reported of sandboxes) {
      const known = this.#sandboxes.get(reported.id);
      // Some runtimes leave the namespace out here that they named at the start of the sandbox.
      const sandbox = reported.netns || !known ? reported : known.sandbox;
      // In one that was never whole nothing runs, and it must not speak for the pod.
      if (sandbox.incomplete) continue;
      try {
        if (sandbox.netns && this.#ports.namespaces.classify(sandbox.netns) === "gone") continue;
        living.add(sandbox.id);
        this.#begin(sandbox, { started: started.has(sandbox.id) });
      } catch (error) {
        // One pod that the runtime tells nonsense of must not keep the others from their networks.
        living.add(sandbox.id);
        this.#ports.log.error(`cannot attach the networks of ${describePod(sandbox.pod)}`, {
          sandbox: sandbox.id,
          error: errorMessage(error),
        });
      }
    }
    for (const { sandbox: { id } } of this.#sandboxes.all()) if (!living.has(id)) this.detach(id);
    this.#shared.onlyLiving(living);
    // Not before: what ended meanwhile must not speak for what took its place.
    this.#away = false;
    this.#markAll();
    const used = this.#claims.all().filter(({ claim }) => this.#sandboxes.inUse(claim.uid));
    await this.#marks.removeOthers(new Set(used.map(({ claim }) => claim.uid)));
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
    this.#away = true;
    this.#markAll();
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
      this.#checkup.run(options, signal),
      this.#watchNamespaces(signal),
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
    this.#checkup.deviceGone(device);
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
    const networks = this.#sandboxes.all();
    await Promise.all(networks.map((network) => network.close()));
    // Until the agent is back, no container may be created whose network is not there.
    for (const entry of networks.flatMap(({ entries }) => entries)) {
      if (entry.ready) continue;
      void this.#mark(entry.claim, { away: true });
    }
    await this.#marks.close();
  }

  #markAll(): void {
    const entries = this.#sandboxes.all().flatMap((network) => network.entries);
    for (const claim of claimsOf([...this.#claims.all(), ...entries])) void this.#mark(claim);
  }

  /** To be called when something changed of which containers that name the claim may be in need. */
  #mark(claim: ClaimRef, { away = this.#away } = {}): Promise<void> {
    return this.#marks.set(this.#metadata(claim), this.#markOf(claim.uid, away));
  }

  #metadata(claim: ClaimRef): ClaimMetadata {
    const record = this.#claims.get(claim.uid);
    if (!record) return { claim, devices: [] };
    const entries = this.#sandboxes.entriesOf(claim.uid);
    return claimMetadata(record, { entries, devices: this.#ports.devices });
  }

  /**
   * Containers start as soon as one of the sandboxes that use the claim has all its networks: a
   * runtime knows claims here, and no sandboxes. What is lost or written anew afterwards keeps none
   * waiting.
   */
  #markOf(claimUid: string, away: boolean): Mark {
    const living = this.#sandboxes.withClaim(claimUid).filter(({ stopped }) => !stopped);
    const wanted = living.map((network) => network.of(claimUid).filter(({ wanted }) => wanted))
      .filter(({ length }) => length > 0);
    const passes = wanted.some((entries) => entries.every(({ ready }) => ready));
    if (passes) return away ? "noNewContainers" : "pass";
    return away || wanted.length === 0 ? "none" : "wait";
  }

  /**
   * After a restart containerd tells nothing of the end of sandboxes that were there before
   * (containerd#8426); their namespaces tell.
   */
  async #watchNamespaces(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ports.clock.sleep(NAMESPACES_INTERVAL, signal).catch(() => {});
      if (signal.aborted) return;
      this.#stopGone(this.#sandboxes.all());
    }
  }

  #stopGone(networks: readonly PodAttachments[]): void {
    for (const { sandbox } of networks) {
      try {
        this.#detachIfGone(sandbox.id);
      } catch (error) {
        const about = { sandbox: sandbox.id, error: errorMessage(error) };
        this.#ports.log.debug(`cannot tell whether ${describePod(sandbox.pod)} is gone`, about);
      }
    }
  }

  #detachIfGone(id: string): void {
    const network = this.#sandboxes.get(id);
    const { netns } = network?.sandbox ?? {};
    if (!netns || network?.stopped || this.#ports.namespaces.classify(netns) !== "gone") return;
    this.#ports.log.info(`sandbox ${id} is gone, but the container runtime did not report its end`);
    this.detach(id);
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
      void this.#mark(claim);
    };
    for (const record of this.#claims.ofPod(sandbox.pod.uid)) want(record);
    this.#shared.look(sandbox, want);
  }

  async #passGate(
    sandbox: Sandbox,
    { cdiDevices, signal }: {
      readonly cdiDevices: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    if (!this.#sandboxes.get(sandbox.id)) this.attach(sandbox);
    await this.#shared.known(sandbox, signal);
    for (const id of cdiDevices) this.#assertPrepared(sandbox, id);
    const network = this.#sandboxes.get(sandbox.id);
    if (!network) return;
    await network.ready(signal);
    // Not by what the container names: not every runtime says that here.
    const wanted = network.entries.filter(({ wanted }) => wanted);
    for (const claim of claimsOf(wanted)) await this.#marks.passes(claim, signal);
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
      void this.#mark(claim);
      const record = this.#claims.get(claim.uid);
      if (record) this.#statuses.changed(record.claim);
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
