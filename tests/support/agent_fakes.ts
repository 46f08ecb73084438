/**
 * Fakes of the agent's ports, and a clock that stands until it is moved. Where they are used, a lock
 * that is taken out of order fails the test.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Attachment, ClaimRef } from "../../mod/claim/attachment.ts";
import type { NetworkList } from "../../mod/claim/network_list.ts";
import type { PodClaims } from "../../mod/claim/pod_claims.ts";
import { reservationOf } from "../../mod/claim/reservation.ts";
import type {
  AttachmentRecord,
  AttachResult,
  CheckResult,
  ClaimMetadata,
  ClaimRecord,
  CniResult,
  DeviceAttribute,
  DeviceStatus,
  Finding,
  ForgetCause,
  GateOutcome,
  Interfaces,
  NodeNetworks,
  PodRef,
  PreparePhase,
  ResourceClaim,
  Result,
  RuntimeConfig,
  Sandbox,
  StatusResult,
  ValidAttachment,
  WarningEvent,
} from "../../mod/agent/model.ts";
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
  PodStep,
  PolicyNode,
  Traces,
  WaitingSandboxes,
} from "../../mod/agent/ports.ts";
import type { Clock } from "../../mod/async/clock.ts";
import { checkLockOrder, type Hold } from "../../mod/async/lock_order.ts";

checkLockOrder(new AsyncLocalStorage<readonly Hold[]>());

/** Lets everything that can go on without time passing go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

export class FakeClock implements Clock {
  #now = Date.parse("2026-01-01T00:00:00Z");
  #set = 0;
  #sleepers: { at: number; wake: () => void }[] = [];

  now(): Date {
    return new Date(this.#now + this.#set);
  }

  elapsed(): number {
    return this.#now;
  }

  /** Sets the time of day, forward or back: no time passes by it. */
  set(ms: number): void {
    this.#set += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason);
      }, { once: true });
    });
  }

  /** Moves the clock, waking sleepers in order and letting each go on. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#sleepers.toSorted((a, b) => a.at - b.at)[0];
      if (!next || next.at > until) break;
      this.#now = next.at;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      next.wake();
      await settle();
    }
    this.#now = until;
  }
}

/** One call of a plugin as the fake saw it. */
export interface CniCall {
  readonly command: "ADD" | "DEL" | "CHECK";
  readonly network: string;
  readonly runtime: RuntimeConfig;
  readonly prevResult?: CniResult;
}

export class FakeCni implements Cni {
  readonly calls: CniCall[] = [];
  /** Networks attached now, as `<container>/<interface>`. */
  readonly attached = new Set<string>();
  /** Operations in progress now, by container; and the most there were at once. */
  readonly running = new Map<string, number>();
  mostAtOnce = 0;
  #atOnce = 0;
  /** Containers for which two operations overlapped, which the SPEC forbids. */
  readonly overlaps: string[] = [];
  /** Called in each operation; what it throws fails the operation. */
  during: (call: CniCall) => void | Promise<void> = () => {};
  /** Called before an ADD begins; what it throws keeps it from that. */
  beforeAdd: (runtime: RuntimeConfig) => void | Promise<void> = () => {};
  verifying: (network: NetworkList) => void = () => {};

  verify(network: NetworkList): Promise<void> {
    return Promise.resolve().then(() => this.verifying(network));
  }

  async add(
    network: NetworkList,
    runtime: RuntimeConfig,
    { begins }: { readonly begins?: () => Promise<void> },
  ): Promise<AttachResult> {
    await this.beforeAdd(runtime);
    await begins?.();
    await this.#call({ command: "ADD", network: network.name, runtime });
    this.attached.add(`${runtime.containerID}/${runtime.ifName}`);
    const result = {
      cniVersion: "1.0.0",
      interfaces: [{ name: runtime.ifName, sandbox: runtime.netns }],
    };
    return { result, networkData: { interfaceName: runtime.ifName, ips: ["10.0.0.2/24"] } };
  }

  async del(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult | undefined,
  ): Promise<void> {
    await this.#call({ command: "DEL", network: network.name, runtime, prevResult });
    this.attached.delete(`${runtime.containerID}/${runtime.ifName}`);
  }

  /** By default what is attached is intact. A check that is ended tells nothing. */
  finding: (runtime: RuntimeConfig) => Finding = ({ containerID, ifName }) =>
    this.attached.has(`${containerID}/${ifName}`)
      ? { state: "intact" }
      : { state: "lost", cause: `${ifName} is not there` };
  /** Called in each GC; what it throws fails it. */
  collecting: (network: NetworkList, valid: readonly ValidAttachment[]) => void | Promise<void> =
    () => {};
  /** Types of plugins that are not on the node. */
  readonly missing = new Set<string>();

  async check(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<Finding> {
    const call = { command: "CHECK", network: network.name, runtime, prevResult } as const;
    const ended = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve(), { once: true })
    );
    await this.#call(call, ended);
    if (signal.aborted) return { state: "unknown", cause: "it was cancelled" };
    return this.finding(runtime);
  }

  async gc(
    network: NetworkList,
    { valid }: { readonly valid: readonly ValidAttachment[] },
  ): Promise<boolean> {
    if (network.cniVersion !== "1.1.0") return false;
    await this.collecting(network, valid);
    return true;
  }

  missingPlugins({ plugins }: NetworkList): string[] {
    return plugins.map(({ type }) => type).filter((type) => this.missing.has(type));
  }

  /** `ADD net1`, `DEL net1`, … in the order they began. */
  get log(): string[] {
    return this.calls.map(({ command, runtime }) => `${command} ${runtime.ifName}`);
  }

  async #call(call: CniCall, ended?: Promise<void>): Promise<void> {
    this.calls.push(call);
    const id = call.runtime.containerID;
    const running = (this.running.get(id) ?? 0) + 1;
    this.running.set(id, running);
    if (running > 1) this.overlaps.push(id);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    try {
      await (ended ? Promise.race([this.during(call), ended]) : this.during(call));
    } finally {
      this.running.set(id, running - 1);
      this.#atOnce--;
    }
  }
}

export class FakeWaitingSandboxes implements WaitingSandboxes {
  sandboxes: Sandbox[] = [];

  put(sandbox: Sandbox) {
    this.sandboxes.push(sandbox);
    return Promise.resolve();
  }

  take() {
    return Promise.resolve(this.sandboxes.splice(0));
  }
}

export class FakeJournal implements Journal {
  readonly claims = new Map<string, ClaimRecord>();
  readonly attachments = new Map<string, AttachmentRecord>();
  readonly departed = new Map<string, ClaimRecord>();
  /** Called before each change; what it throws fails the change. */
  before: (change: string) => void | Promise<void> = () => {};
  /** UIDs of claims that have a record which cannot be read. */
  readonly unreadable: string[] = [];
  /** Whether there are records of claims that cannot be read. */
  claimsUnreadable = false;
  tidied = 0;

  load() {
    return Promise.resolve({
      claims: [...this.claims.values()],
      attachments: [...this.attachments.values()],
      unreadable: this.unreadable.map((claimUid) => ({
        claimUid,
        isOf: ({ claim }: Pick<AttachmentRecord, "claim">) => claim.uid === claimUid,
      })),
      departed: [...this.departed.values()],
    });
  }

  look(pod: PodRef) {
    const all = [...this.claims.values()];
    const isFor = ({ pods }: ClaimRecord) => pods.some(({ uid }) => uid === pod.uid);
    const claims = all.filter(isFor);
    const uids = new Set(claims.map(({ claim }) => claim.uid));
    const attachments = [...this.attachments.values()].filter(({ claim }) => uids.has(claim.uid));
    const others = all.filter((record) => record.shareable && !isFor(record));
    const departed = [...this.departed.values()].filter(({ claim }) => !this.claims.has(claim.uid));
    const shareable = [...others, ...departed]
      .filter(({ claim }) => claim.namespace === pod.namespace);
    const unreadable = this.claimsUnreadable;
    const recorded = new Set(this.claims.keys());
    return Promise.resolve({ claims, attachments, shareable, unreadable, recorded });
  }

  async putClaim(record: ClaimRecord) {
    await this.#change("putClaim");
    this.claims.set(record.claim.uid, record);
  }

  async removeClaim(uid: string, { departs }: { readonly departs: boolean }) {
    await this.#change("removeClaim");
    const record = this.claims.get(uid);
    if (departs && record) this.departed.set(uid, record);
    this.claims.delete(uid);
  }

  forgetDeparted(uid: string) {
    this.departed.delete(uid);
  }

  async putAttachment(record: AttachmentRecord) {
    await this.#change(record.attached ? "putResult" : "putIntent");
    this.attachments.set(key(record), structuredClone(record));
  }

  noteAddStarted(record: AttachmentRecord) {
    this.attachments.set(key(record), { ...record, add: "started" });
  }

  async removeAttachment(record: AttachmentRecord) {
    await this.#change("removeAttachment");
    this.attachments.delete(key(record));
  }

  tidy() {
    this.tidied++;
  }

  async #change(change: string) {
    await Promise.resolve();
    await this.before(change);
  }
}

function key({ claim, sandbox, attachment }: AttachmentRecord): string {
  return `${claim.uid}/${attachment.request}/${attachment.device}/${attachment.shareID}/${sandbox.id}`;
}

export class FakeCluster implements Cluster {
  readonly claims = new Map<string, ResourceClaim>();
  /** What was applied last for each claim, by UID. */
  readonly applied = new Map<string, readonly DeviceStatus[]>();
  applies = 0;
  reads = 0;
  /** Called in each request; what it throws fails the request. */
  during: (request: "get" | "apply") => void | Promise<void> = () => {};

  async getClaim({ namespace, name }: { namespace: string; name: string }) {
    this.reads++;
    await this.during("get");
    return this.claims.get(`${namespace}/${name}`);
  }

  /** By pod UID, the PodGroup that it belongs to. */
  readonly groups = new Map<string, string>();

  /** Of pods that claims are reserved for, or for their PodGroup. */
  async getPodClaims({ namespace, uid }: PodRef): Promise<PodClaims> {
    this.reads++;
    await this.during("get");
    const group = this.groups.get(uid);
    const names = [...this.claims].filter(([at, claim]) => {
      const { pods, groups } = reservationOf(claim);
      const isFor = pods.some((pod) => pod.uid === uid) || groups.some((name) => name === group);
      return at.startsWith(`${namespace}/`) && isFor;
    }).map(([at]) => at.slice(namespace.length + 1));
    return { names, ...(group !== undefined && { group }) };
  }

  async applyDeviceStatus(claim: ClaimRef, devices: readonly DeviceStatus[]) {
    this.applies++;
    await this.during("apply");
    if (!this.claims.has(`${claim.namespace}/${claim.name}`)) return "gone" as const;
    this.applied.set(claim.uid, structuredClone(devices));
    return "applied" as const;
  }
}

export class FakeNamespaces implements Namespaces {
  readonly gone = new Set<string>();
  readonly host = new Set<string>();
  readonly held = new Set<string>();
  /** The interfaces in a namespace that others have made, by its path. */
  readonly foreign = new Map<string, Set<string>>();

  /** The kernel's number and the hardware address of each of them. */
  index = 2;
  mac = "02:00:00:00:00:02";

  async interfaces(path: string, signal?: AbortSignal): Promise<Interfaces | undefined> {
    await Promise.resolve();
    signal?.throwIfAborted();
    const { index, mac } = this;
    return new Map([...this.foreign.get(path) ?? []].map((name) => [name, { index, mac }]));
  }

  classify(path: string) {
    if (this.gone.has(path)) return "gone" as const;
    return this.host.has(path) ? "host" as const : "pod" as const;
  }

  hold(path: string) {
    if (this.classify(path) !== "pod") return undefined;
    this.held.add(path);
    return { path: `held:${path}`, release: () => void this.held.delete(path) };
  }
}

export class FakeCdi implements CdiFiles {
  /** Claims that have a spec file: containers that name them are created. */
  readonly specs = new Set<string>();
  /** Claims whose containers start. */
  readonly attached = new Set<string>();
  /** What those read, by claim. */
  readonly metadata = new Map<string, ClaimMetadata>();
  /** Those with a spec file, by UID. */
  readonly #claims = new Map<string, ClaimRef>();
  /** Called before each change; what it throws fails the change. */
  before: (change: string) => void = () => {};

  deviceId(uid: string) {
    return `test/claim=${uid}`;
  }
  claimUid(id: string) {
    return id.startsWith("test/claim=") ? id.slice("test/claim=".length) : undefined;
  }
  allowCreate({ claim }: ClaimMetadata) {
    this.before("allowCreate");
    this.specs.add(claim.uid);
    this.#claims.set(claim.uid, claim);
  }
  async refuseCreate(uid: string) {
    await Promise.resolve();
    this.before("refuseCreate");
    this.specs.delete(uid);
  }
  allowStart(metadata: ClaimMetadata) {
    this.before("allowStart");
    this.attached.add(metadata.claim.uid);
    this.metadata.set(metadata.claim.uid, metadata);
  }
  async refuseStart(uid: string) {
    await Promise.resolve();
    this.before("refuseStart");
    this.attached.delete(uid);
    this.metadata.delete(uid);
  }
  startAllowed(uid: string) {
    return Promise.resolve(this.attached.has(uid));
  }
  list() {
    return Promise.resolve([...new Set([...this.specs, ...this.attached])]);
  }
  claims() {
    return Promise.resolve([...this.specs].flatMap((uid) => this.#claims.get(uid) ?? []));
  }

  /** `<uid>` of each spec file, with `+` where containers start, in order. */
  get shown(): string[] {
    return [...new Set([...this.specs, ...this.attached])].toSorted().map((uid) =>
      `${this.specs.has(uid) ? uid : `(${uid})`}${this.attached.has(uid) ? "+" : ""}`
    );
  }
}

/** Takes every device as one with no interface, but for those that were given one. */
export class FakeDevices implements Devices {
  readonly interfaces = new Map<string, string>();
  readonly attributes = new Map<string, Record<string, DeviceAttribute>>();
  readonly gone = new Set<string>();

  known() {
    return Promise.resolve((device: string) => {
      const interfaceName = this.interfaces.get(device);
      return { device, ...(interfaceName !== undefined && { interfaceName }) };
    });
  }

  isGone(device: string) {
    return this.gone.has(device);
  }

  attributesOf(device: string) {
    return this.attributes.get(device) ?? {};
  }
}

/** Publishes every interface, and has no address of its own. */
export class FakeNode implements PolicyNode {
  readonly kept = new Set<string>();

  view() {
    return {
      offers: (name: string) => !this.kept.has(name),
      taken: (name: string) => this.kept.has(name),
      needs: () => undefined,
      addresses: [],
    };
  }
}

export class FakeNetworks implements Networks {
  readonly networks = new Map<string, NetworkList>();

  read(): Promise<NodeNetworks> {
    return Promise.resolve({
      names: [...this.networks.keys()],
      networkOf: ({ name }) => {
        const network = this.networks.get(name);
        if (network) return { network, place: `/networks/${name}.conflist`, form: "name" };
        throw new Error(`there is no network ${JSON.stringify(name)}`);
      },
    });
  }
}

/** Keeps what was logged, as `<level> <message>`. */
export class FakeLog implements Log {
  readonly lines: string[] = [];
  debug = (message: string) => void this.lines.push(`debug ${message}`);
  info = (message: string) => void this.lines.push(`info ${message}`);
  warn = (message: string) => void this.lines.push(`warn ${message}`);
  error = (message: string) => void this.lines.push(`error ${message}`);
}

/** Keeps what was counted, as words. */
export class FakeMetrics implements Metrics {
  readonly counted: string[] = [];
  readonly prepareTimes: string[] = [];
  prepared = (result: Result) => void this.counted.push(`prepared ${result}`);
  unprepared = (result: Result) => void this.counted.push(`unprepared ${result}`);
  prepareTook = (phase: PreparePhase, seconds: number) =>
    void this.prepareTimes.push(`${phase} ${seconds}`);
  gateWaited = (outcome: GateOutcome, seconds: number) =>
    void this.counted.push(`gate ${outcome} ${seconds}`);
  statusWritten = (result: StatusResult, attempt: "first" | "retry") =>
    void this.counted.push(`status ${result} ${attempt}`);
  checked = (result: CheckResult) => void this.counted.push(`checked ${result}`);
  repaired = (result: Result) => void this.counted.push(`repaired ${result}`);
  collected = (result: Result) => void this.counted.push(`collected ${result}`);
  forgotten = (why: ForgetCause) => void this.counted.push(`forgotten ${why}`);
  devicesPublished = ({ up, down }: Readonly<Record<"up" | "down", number>>) =>
    void this.counted.push(`devices ${up} up ${down} down`);
}

/** Keeps the steps, as `<pod> <name> <seconds> <error>`. */
export class FakeTraces implements Traces {
  readonly steps: string[] = [];
  idOf = (podUid: string) => `trace-${podUid}`;
  ended = ({ name, pod, seconds, error = "" }: PodStep) =>
    void this.steps.push(`${pod.name} ${name} ${seconds} ${error}`.trim());
}

export class FakeEvents implements Events {
  readonly warnings: WarningEvent[] = [];
  warn = (event: WarningEvent) => void this.warnings.push(event);

  /** `<reason> <kind>/<name>: <message>` of each. */
  get lines(): string[] {
    return this.warnings.map(({ reason, about, message }) =>
      `${reason} ${about.kind}/${about.name}: ${message}`
    );
  }
}

/** One of each, for an agent. */
export function fakePorts() {
  return {
    cni: new FakeCni(),
    cluster: new FakeCluster(),
    journal: new FakeJournal(),
    namespaces: new FakeNamespaces(),
    cdi: new FakeCdi(),
    devices: new FakeDevices(),
    networks: new FakeNetworks(),
    node: new FakeNode(),
    clock: new FakeClock(),
    log: new FakeLog(),
    metrics: new FakeMetrics(),
    traces: new FakeTraces(),
    events: new FakeEvents(),
  };
}

export function aSandbox(id: string, pod = id): Sandbox {
  return {
    id,
    pod: { namespace: "default", name: pod, uid: `uid-${pod}` },
    netns: `/var/run/netns/${id}`,
  };
}

export function anAttachment(ifName: string, more: Partial<Attachment> = {}): Attachment {
  return {
    request: ifName,
    pool: "node",
    device: "cni",
    ifName,
    ifNameGiven: true,
    network: { cniVersion: "1.0.0", name: `network-${ifName}`, plugins: [{ type: "macvlan" }] },
    capabilityArgs: {},
    ...more,
  };
}
