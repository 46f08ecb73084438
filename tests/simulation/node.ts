import type { AttachmentRecord } from "../../mod/agent/model.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import { AttachmentFaults } from "./attachment_faults.ts";
import { AgentProcess } from "./agent_process.ts";
import { DRIVER } from "./api_server.ts";
import type { Mounted } from "./deno_files.ts";
import { Disk } from "./disk.ts";
import { type FaultKind, Faults } from "./faults.ts";
import { Kubelet } from "./kubelet.ts";
import { attachmentName, type Link, type NetNamespace, NodeNetwork } from "./network.ts";
import { PROGRAMS } from "./plugins.ts";
import { type Handover, mayStay } from "./plan.ts";
import { linkOf, networksOf, type PodNetwork, type Sandbox } from "./pods.ts";
import type { SimulatedProcess } from "./process.ts";
import { SimulatedRuntime } from "./runtime.ts";
import type { World } from "./world.ts";

/**
 * An operation that takes so long, in milliseconds, waits for something and is not counted. The agent
 * counts from before its first program, and gives its place away after 100.
 */
const WAITS_AFTER = 90;
/** An agent looks at the pod no earlier before an ADD, in milliseconds. */
const LOOK_MS = 20;
/** So long a status may take after an ADD whose result the disk does not take. */
const STUCK_MS = 1_000;
/** How long a slow disk may take for what an agent writes when a plugin was killed. */
const SLOW_WRITES_MS = 10_000;
/** With these, what an agent finds out may not come to the disk. */
const DISK_FAULTS: readonly FaultKind[] = [
  "diskFull",
  "diskReadOnly",
  "diskFails",
  "diskSlow",
  "diskStuck",
];
/** The agent tries again within this, in milliseconds. */
const WRITES_AGAIN_MS = 10_000;
/** A pod that lives so long, in milliseconds, may see the end of a repair. */
const LIVES_LONG = 60_000;
/** What is left of a record that is damaged. */
const DAMAGED = new TextEncoder().encode('{"version": 1, "cla');

const DECODER = new TextDecoder();
/** What files' contents say; a write makes a new one. */
const read = new WeakMap<Uint8Array, AttachmentRecord>();

function recordIn(content: Uint8Array): AttachmentRecord {
  const known = read.get(content);
  if (known) return known;
  const record = JSON.parse(DECODER.decode(content)) as AttachmentRecord;
  read.set(content, record);
  return record;
}

/** One node: its disks, its network, its runtime, its kubelet, and the agents that run on it. */
export class SimulatedNode {
  readonly #world: World;
  readonly name: string;
  readonly network: NodeNetwork;
  readonly faults = new Faults();
  readonly attachmentFaults = new AttachmentFaults();
  state = new Disk();
  /** In memory: CDI files. */
  run = new Disk();
  /** The programs of CNI plugins, and none. */
  readonly #plugins = new Disk();
  readonly #noPlugins = new Disk();
  readonly runtime: SimulatedRuntime;
  readonly kubelet: Kubelet;
  readonly agents: AgentProcess[] = [];
  /** UIDs of claims of which a record was damaged. */
  readonly damaged = new Set<string>();
  /** UIDs of claims of which the agent lost all that it knew while pods used them. */
  readonly unknown = new Set<string>();
  /** UIDs of claims that the kubelet took as prepared when the agent lost all that it knew. */
  readonly #prepared = new Set<string>();
  /** Those among both that no CDI file told the agent of that came next. */
  readonly untold = new Set<string>();
  /** Leases that only a damaged record told of. */
  readonly orphaned = new Set<string>();
  /** Attachments whose record was damaged, by their names, until the next ADD. */
  readonly #unrecorded = new Set<string>();
  /** Interfaces that someone removed, or that ADD reported and were another's: `<sandbox>/<network>`. */
  readonly lost = new Set<string>();
  /** When an ADD began that has no end: of attachments, by their names. */
  readonly #adding = new Map<
    string,
    { readonly began: number; ended: number; isUnseen: boolean }
  >();
  /** Interfaces of other plugins that ADD reported as its own: of attachments, by their names. */
  readonly #takenOver = new Map<string, Link>();
  readonly #held = new Map<string, NetNamespace>();
  readonly #operations = new Map<
    string,
    { readonly process: SimulatedProcess; readonly what: string }
  >();
  /** When operations of a container began and ended last. */
  readonly #since = new Map<
    string,
    { readonly process: SimulatedProcess; readonly from: number; until: number }
  >();
  #starts = 0;
  #lastDeath = -Infinity;
  /** When a process was in a change of the disk last that hung. */
  #diskStuckAt = -Infinity;
  /** When a plugin began last to hang. */
  #pluginStuckAt = -Infinity;
  /** When a fault of the disk ended last. */
  #diskEasedAt = -Infinity;
  /** Milliseconds by which the clock was set. */
  clockSetBy = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.network = new NodeNetwork(() => world.scheduler.now);
    this.runtime = new SimulatedRuntime(world, this, world.plan.runtime);
    this.kubelet = new Kubelet(world, this);
    for (const name of PROGRAMS) this.#plugins.open(`/${name}`, { write: true, create: true });
  }

  mounted(agent: AgentProcess, disk: string): Mounted {
    const disks: Readonly<Record<string, () => Disk>> = {
      cdi: () => this.run,
      state: () => this.state,
      plugins: () => this.faults.has("pluginMissing") ? this.#noPlugins : this.#plugins,
    };
    const current = disks[disk]!;
    return {
      process: agent.process,
      get disk() {
        return current();
      },
      wait: (access) => this.#waitForDisk(access),
      holdUp: (close) => {
        if (!this.#world.chance.hits("held up", 0.1)) return close();
        void this.#world.pause("held up", 1, 300).then(close);
      },
    };
  }

  async #waitForDisk(access: "read" | "change" | "sync"): Promise<void> {
    if (access === "read") return this.#world.pause(`${this.name} read`, 0, 1);
    const slow = this.faults.has("diskSlow") && this.#world.chance.hits("disk slow", 0.5);
    await this.#world.pause(`${this.name} disk`, 0, slow ? 3_000 : 8);
    while (this.faults.has("diskStuck")) {
      this.#diskStuckAt = this.#world.scheduler.now;
      await this.#world.scheduler.sleep(200);
    }
  }

  beginFault(kind: FaultKind): void {
    this.faults.begin(kind);
    this.applyDiskFaults();
  }

  endFault(kind: FaultKind): void {
    this.faults.end(kind);
    if (DISK_FAULTS.includes(kind)) this.#diskEasedAt = this.#world.scheduler.now;
    this.applyDiskFaults();
  }

  /** Brings the disks in line with the faults that are on. */
  applyDiskFaults(): void {
    const { faults } = this;
    this.state.state = faults.has("diskReadOnly")
      ? "readOnly"
      : faults.has("diskFull")
      ? "full"
      : faults.has("diskFails")
      ? "failing"
      : "ok";
    this.run.state = faults.has("cdiReadOnly") ? "readOnly" : "ok";
  }

  /** By its path, or that of a descriptor. */
  namespaceAt(path: string): NetNamespace | undefined {
    return path === "" ? undefined : this.#held.get(path) ?? this.network.at(path);
  }

  hold(namespace: NetNamespace): { readonly path: string; readonly release: () => void } {
    const path = `/proc/${Deno.pid}/fd/${++this.#starts}`;
    const release = this.network.hold(namespace);
    this.#held.set(path, namespace);
    return {
      path,
      release: () => {
        this.#held.delete(path);
        release();
      },
    };
  }

  get heldNamespaces(): NetNamespace[] {
    return [...this.#held.values()];
  }

  /** Notes that a plugin runs for a container. @returns to be called at its end */
  beginOperation(process: SimulatedProcess, containerID: string, what: string): () => void {
    const other = this.#operations.get(containerID);
    if (other && !other.process.dead) {
      this.#world.trace.violation("overlap", `${what} while ${other.what} runs`);
    }
    const operation = { process, what };
    this.#operations.set(containerID, operation);
    if (!what.startsWith("CHECK")) this.#assertWidth(process, containerID);
    return () => {
      if (this.#operations.get(containerID) !== operation) return;
      this.#operations.delete(containerID);
      const since = this.#since.get(containerID);
      if (since) since.until = this.#world.scheduler.now;
    };
  }

  /** Notes that an operation of a container has its turn. @returns to be called at its end */
  beginTurn(process: SimulatedProcess, containerID: string): () => void {
    const { now } = this.#world.scheduler;
    const turn = { process, from: now, until: Infinity };
    this.#since.set(containerID, turn);
    return () => {
      if (turn.until === Infinity) turn.until = this.#world.scheduler.now;
    };
  }

  /** No more at once than told, but for those that seem to wait for something. */
  #assertWidth(process: SimulatedProcess, containerID: string): void {
    const { scheduler, plan, trace } = this.#world;
    const { now } = scheduler;
    const before = this.#since.get(containerID);
    // The programs of one operation follow one another at once, or nearly.
    const from = before?.process === process && before.until >= now - 2 ? before.from : now;
    this.#since.set(containerID, { process, from, until: Infinity });
    const young = [...this.#since.values()].filter((each) =>
      each.process === process && each.until === Infinity && now - each.from < WAITS_AFTER
    );
    if (young.length <= plan.concurrency) return;
    trace.violation("limit", `${young.length} operations at once where ${plan.concurrency} may be`);
  }

  /** What a sandbox's containers started with stays while they run. */
  assertMayGo(attachment: string, what: string): void {
    const [, containerID = "", ifName = ""] = attachment.split("/");
    const sandbox = this.runtime.sandboxes.get(containerID);
    if (!sandbox || sandbox.ending || sandbox.state !== "running") return;
    const link = sandbox.vouched.get(ifName);
    if (!link || sandbox.namespace.links.get(ifName) !== link) return;
    this.#world.trace.violation("living", `${what} of ${link.owner} goes, but its pod lives`);
    sandbox.vouched.delete(ifName);
  }

  /** A CHECK looked. What is found damaged twice may be recreated, rightly or not. */
  looked(attachment: string, lies: boolean): void {
    const [, containerID = "", ifName = ""] = attachment.split("/");
    const sandbox = this.runtime.sandboxes.get(containerID);
    if (!sandbox) return;
    const lied = lies ? (sandbox.lies.get(ifName) ?? 0) + 1 : 0;
    sandbox.lies.set(ifName, lied);
    if (lied > 1) sandbox.vouched.delete(ifName);
  }

  pluginHangs(): void {
    this.#pluginStuckAt = this.#world.scheduler.now;
  }

  addBegins(attachment: string): void {
    this.#unrecorded.delete(attachment);
    this.#adding.set(attachment, {
      began: this.#world.scheduler.now,
      ended: Infinity,
      isUnseen: false,
    });
  }

  /** It was killed, or failed, and did not say what it had made. */
  addUnanswered(attachment: string): void {
    const adding = this.#adding.get(attachment);
    if (adding) adding.ended = this.#world.scheduler.now;
  }

  /** The agent cannot see what a failed operation has left in a namespace. */
  couldNotLook(path: string): void {
    for (const adding of this.#addingIn(this.namespaceAt(path))) adding.isUnseen = true;
  }

  /** The agent sees which interfaces there are in a namespace. */
  lookedInto(namespace: NetNamespace): void {
    namespace.lookedAt = this.#world.scheduler.now;
  }

  /** What came since the agent could not look, it does not know: it looks again after this. */
  delBegins(attachment: string): void {
    const adding = this.#adding.get(attachment);
    if (!adding?.isUnseen || adding.ended === Infinity) return;
    adding.isUnseen = false;
    adding.ended = this.#world.scheduler.now;
  }

  #addingIn(namespace: NetNamespace | undefined) {
    return [...this.#adding].flatMap(([attachment, adding]) => {
      const sandbox = this.runtime.sandboxes.get(attachment.split("/")[1]!);
      return namespace && sandbox?.namespace === namespace ? [adding] : [];
    });
  }

  addEnds(attachment: string): void {
    if (this.#adding.get(attachment)?.ended === Infinity) this.#adding.delete(attachment);
  }

  /**
   * Whether nobody can know that an interface is not this attachment's: it came after the ADD began that
   * an agent's death cut off, while one ran that was killed or failed or before the agent could look
   * what it had left, or one took it over; or the record is damaged that told it, or the disk did not
   * take it before the agent died (docs/faults.md, "What no agent can know").
   */
  isUntold(attachment: string, link: Link): boolean {
    if (this.#unrecorded.has(attachment)) return true;
    const adding = this.#adding.get(attachment);
    const isOfAdd = adding !== undefined && link.since >= adding.began &&
      (adding.isUnseen || link.since <= adding.ended);
    return isOfAdd || this.#takenOver.get(attachment) === link;
  }

  /** An ADD reports another plugin's interface as its own. Of one that came just now nobody can know. */
  takesOver(attachment: string, link: Link): void {
    const began = this.#adding.get(attachment)?.began;
    if (began === undefined || link.since < began - LOOK_MS) return;
    this.#takenOver.set(attachment, link);
    const [network, containerID] = attachment.split("/");
    this.lost.add(`${containerID}/${network}`);
  }

  isExcusedLost({ id }: Sandbox, network: string): boolean {
    return this.lost.has(`${id}/${network}`);
  }

  /** Whether a CDI file of a claim is there. */
  cdiFile(uid: string, ending: string): boolean {
    return this.run.has(`/${DRIVER}_${uid}${ending}`);
  }

  leads(agent: AgentProcess): void {
    const other = this.agents.find((each) => each !== agent && each.leads && !each.process.dead);
    if (other) {
      const what = `${agent.process.name} leads while ${other.process.name} does`;
      this.#world.trace.violation("leader", what);
    }
    agent.leads = true;
    agent.hasLed = true;
    const { scheduler, trace } = this.#world;
    const isReady = this.kubelet.isRegistered(agent);
    const serving = this.agents.find((each) => each !== agent && this.kubelet.isRegistered(each));
    // One that stood next may have died meanwhile.
    const isQuiet = scheduler.now - this.#lastDeath > 10_000;
    if (isReady || !serving || !isQuiet) return;
    const what = `${agent.process.name} is not ready, and leads instead of ${serving.process.name}`;
    trace.violation("leader", what);
  }

  /** What an agent has found out may not be on the disk when it ends, or another leads. */
  #noteUnwritten(): void {
    const isTroubled = DISK_FAULTS.some((each) => this.faults.has(each));
    const isEased = this.#world.scheduler.now - this.#diskEasedAt >= WRITES_AGAIN_MS;
    if (!isTroubled && isEased) return;
    for (const attachment of this.#adding.keys()) this.#unrecorded.add(attachment);
  }

  /** One that is not told to stop hands over only to one that the kubelet knows. */
  endsLead(agent: AgentProcess): void {
    this.#noteUnwritten();
    if (agent.process.dead || agent.isStopping) return;
    // One that stood next may be about to end, or have died meanwhile.
    const isAwaited = this.agents.some((each) =>
      each !== agent && (this.kubelet.isRegistered(each) || each.isStopping)
    );
    const { scheduler, trace } = this.#world;
    if (isAwaited || scheduler.now - this.#lastDeath <= 10_000) return;
    trace.violation("leader", `${agent.process.name} hands over to none that is ready`);
  }

  /** What another plugin does later in a sandbox. */
  foreignLinks(sandbox: Sandbox): void {
    const { scheduler } = this.#world;
    const { namespace } = sandbox;
    const living = () => namespace.mounted && !sandbox.ending;
    for (const { ifName, after, lasts } of sandbox.pod.plan.foreign) {
      const owner = "another plugin";
      const add = () => {
        if (!living() || namespace.links.has(ifName)) return;
        this.#world.operation(`another plugin adds ${ifName} to ${sandbox.id}`);
        this.network.addLink(namespace, { name: ifName, owner });
      };
      const remove = () => {
        if (!living() || namespace.links.get(ifName)?.owner !== owner) return;
        this.#world.operation(`another plugin removes ${ifName} from ${sandbox.id}`);
        this.network.removeLink(namespace, ifName);
      };
      if (after !== "before") scheduler.after(after, add);
      scheduler.after((after === "before" ? 0 : after) + lasts, remove);
    }
  }

  /** Someone removes an interface of ours. */
  loseLink(choice: number): void {
    const candidates = this.runtime.running.flatMap((sandbox) =>
      [...sandbox.vouched.values()].map((link) => ({ sandbox, link }))
    );
    const found = candidates[Math.floor(choice * candidates.length)];
    if (!found) return;
    const { sandbox, link } = found;
    this.#world.operation(`someone removes ${link.owner}`);
    this.network.removeLink(sandbox.namespace, link.name);
    sandbox.vouched.delete(link.name);
    this.lost.add(`${sandbox.id}/${link.owner.split("/")[0]}`);
  }

  /** CHECK says for a while that one of our interfaces is damaged, and the DELs of its repair fail. */
  failRepair(choice: number): void {
    const links = this.runtime.running.flatMap(({ pod, vouched }) =>
      pod.plan.lives >= LIVES_LONG ? [...vouched.values()] : []
    );
    const candidates = links.filter(({ owner }) => this.network.leases.has(owner));
    const found = candidates[Math.floor(choice * candidates.length)];
    if (!found) return;
    this.attachmentFaults.begin(found.owner, [
      { command: "CHECK", step: "lie" },
      { command: "CHECK", step: "lie" },
      // The lease goes, and the interface stays.
      ...Array.from({ length: 8 }, () => ({ command: "DEL", step: "middle" }) as const),
    ]);
  }

  /**
   * The next ADD fails, and so does the DEL after it, when it has removed the interface. Another plugin
   * takes the name, and the agent dies.
   */
  takeName(away: number): void {
    const { scheduler } = this.#world;
    const agent = this.agents.at(-1);
    const take = (attachment: string) => scheduler.after(100, () => this.#addForeign(attachment));
    const die = () => {
      agent?.process.onDeath(() => this.#startAgain(away));
      scheduler.after(200, () => agent?.process.kill("killed when a name was taken"));
    };
    this.attachmentFaults.begin(undefined, [
      { command: "ADD", step: "after" },
      { command: "DEL", step: "after", then: take },
      { command: "DEL", step: "before", then: die },
      ...Array.from({ length: 4 }, () => ({ command: "DEL", step: "before" }) as const),
    ]);
  }

  #addForeign(attachment: string): void {
    const [, containerID = "", ifName = ""] = attachment.split("/");
    const sandbox = this.runtime.sandboxes.get(containerID);
    if (!sandbox || sandbox.ending || !sandbox.namespace.mounted) return;
    if (sandbox.namespace.links.has(ifName)) return;
    this.#world.operation(`another plugin adds ${ifName} to ${sandbox.id}`);
    this.network.addLink(sandbox.namespace, { name: ifName, owner: "another plugin" });
  }

  /** A record of an attachment becomes unreadable: at any time, or as the agent dies after an ADD. */
  damageRecord(choice: number): void {
    const agent = this.agents.at(-1);
    const { chance } = this.#world;
    const dies = chance.hits("dies with the record", 0.7);
    if (!agent || !dies) return this.#damageOne(choice);
    agent.process.onDeath(() => {
      this.#damageOne(choice);
      this.#startAgain(300);
    });
    if (chance.hits("at once", 0.4)) return agent.process.kill("killed");
    agent.atAdd = () => agent.process.dieIn(chance.between("calls to the end", 1, 12));
  }

  /** One in whose pod no container has started, if there is one. */
  #damageOne(choice: number): void {
    const records = this.#attachmentRecords();
    const fresh = records.filter(({ record }) =>
      this.runtime.sandboxes.get(record.sandbox.id)?.containers.length === 0
    );
    const candidates = fresh.length > 0 ? fresh : records;
    const found = candidates[Math.floor(choice * candidates.length)];
    if (!found) return;
    this.#world.operation(`the record ${found.path} is damaged`);
    this.state.damage(found.path, DAMAGED);
    this.#noteUntold(found.record);
    const { attachment: { network, ifName }, sandbox } = found.record;
    this.#unrecorded.add(attachmentName(network.name, sandbox.id, ifName));
  }

  /** All records go with the agent that kept them, and the kubelet prepares its claims again. */
  loseState(): void {
    this.#world.operation(`${this.name} loses the agent's state`);
    for (const { record } of this.#attachmentRecords()) this.#noteUntold(record);
    for (const { pod } of this.runtime.sandboxes.values()) {
      for (const { ref } of pod.claims) this.unknown.add(ref.uid);
    }
    for (const uid of this.kubelet.claims) this.#prepared.add(uid);
    for (const { process } of [...this.agents]) process.kill("its state is lost");
    this.state = new Disk();
    // The locks are files of the folder, and stay where it is mounted again.
    for (const name of ["lead.lock", "next.lock"]) {
      this.state.open(`/${name}`, { write: true, create: true });
    }
    this.applyDiskFaults();
    for (const lease of this.network.leases.keys()) this.orphaned.add(lease);
    const { chance, scheduler } = this.#world;
    this.#startAgain(chance.between("away without state", 500, 5_000));
    const forgets = chance.hits("kubelet's state is lost too", 0.5);
    scheduler.after(600, () => this.kubelet.restart(forgets));
  }

  /** Whether the record at a path is one that {@link damageRecord} made unreadable. */
  isDamaged(path: string): boolean {
    return this.state.read(path) === DAMAGED;
  }

  /** Those whose files' names begin so. */
  #attachmentRecords(
    prefix = "",
  ): { readonly path: string; readonly record: AttachmentRecord }[] {
    const folder = "/attachments";
    if (!this.state.kind(folder)) return [];
    const isAsked = ({ name }: { readonly name: string }) =>
      name.startsWith(prefix) && name.endsWith(".json");
    return this.state.names(folder).filter(isAsked).flatMap(
      ({ name }) => {
        const path = `${folder}/${name}`;
        return this.isDamaged(path) ? [] : [{ path, record: recordIn(this.state.read(path)) }];
      },
    );
  }

  /** A record is lost: of its attachment nothing tells but the claim's status, if that does. */
  #noteUntold({ claim, sandbox: { id: containerID }, attachment }: AttachmentRecord): void {
    const { ifName, network } = attachment;
    this.damaged.add(claim.uid);
    this.orphaned.add(attachmentName(network.name, containerID, ifName));
    const sandbox = this.runtime.sandboxes.get(containerID);
    const planned = sandbox &&
      networksOf(sandbox.pod).find((each) =>
        each.claim.ref.uid === claim.uid && each.network === network.name
      );
    const mac = sandbox?.vouched.get(ifName)?.mac;
    if (!mac || !planned || !this.isTold(planned, mac)) sandbox?.vouched.delete(ifName);
  }

  /** When the kubelet is told that a claim is unprepared, it is on record, or nothing is left of it. */
  assertDetached(uid: string): void {
    const claim = [...this.#world.claims.values()].find(({ ref }) => ref.uid === uid);
    if (!claim || this.state.has(`/claims/${uid}.json`)) return;
    if (this.damaged.has(uid) || this.unknown.has(uid) || mayStay(claim.plan)) return;
    const networks = new Set(claim.plan.networks.map(({ network }) => network));
    for (const lease of this.network.leases.keys()) {
      const [network = "", id = ""] = lease.split("/");
      if (!networks.has(network) || this.orphaned.has(lease)) continue;
      // A network may be that of several claims.
      const pod = this.#world.pods.get(id.replace(/s\d+$/, ""));
      if (!pod?.claims.includes(claim)) continue;
      const sandbox = this.runtime.sandboxes.get(id);
      if (sandbox && !sandbox.ending) continue;
      const what = `${claim.plan.name} is unprepared, but the lease of ${lease} is left`;
      this.#world.trace.violation("leftovers", what);
    }
  }

  /** Whether an agent that has no record of an attachment's result can learn it all the same. */
  isTold({ claim }: PodNetwork, mac: string): boolean {
    // A shared claim's status tells of one pod.
    if (!claim.plan.isTemplate) return false;
    const entries = this.#world.api.claims.get(`default/${claim.plan.name}`)?.status.devices ?? [];
    return entries.some(({ networkData }) => networkData?.hardwareAddress === mac);
  }

  /** Who dies now must know later what the containers live by that it has just let start. */
  assertOnRecord(sandbox: Sandbox, { claim: { ref }, network }: PodNetwork, { name }: Link): void {
    if (this.damaged.has(ref.uid) || this.unknown.has(ref.uid)) return;
    // What CHECK finds lost is recreated.
    if (this.isExcusedLost(sandbox, network) || sandbox.lies.get(name)) return;
    const records = this.#attachmentRecords(`${ref.uid}.`);
    const isOnRecord = records.some(({ record }) =>
      record.sandbox.id === sandbox.id && record.attachment.ifName === name && record.attached
    );
    if (isOnRecord) return;
    const what = `containers of ${sandbox.id} start before the result of ${network} is on disk`;
    this.#world.trace.violation("gate", what);
  }

  /** Starts a process of the agent. */
  startAgent(): AgentProcess {
    const { plan, trace, scheduler } = this.#world;
    const agent = new AgentProcess(this.#world, this, `${this.name}-${++this.#starts}`, {
      concurrency: plan.concurrency,
      repair: plan.repair,
      gcNetworks: plan.claims.flatMap(({ networks }) =>
        networks.filter(({ kind }) => kind === "bridged").map(({ network }) => network)
      ),
    });
    for (const uid of this.unknown.union(this.#prepared)) {
      const isTold = this.cdiFile(uid, ".json") || this.state.has(`/claims/${uid}.json`);
      if (!isTold) this.untold.add(uid);
    }
    const diskThen = this.state.state;
    this.agents.push(agent);
    this.#world.operation(`${agent.process.name} starts`);
    const end = (why: string) => {
      this.#lastDeath = scheduler.now;
      this.#noteUnwritten();
      // Later than whoever brings it back on purpose.
      this.#startAgain(8_000);
      this.agents.splice(this.agents.indexOf(agent), 1);
      this.kubelet.lost(agent);
      agent.leads = false;
      trace.note(`${agent.process.name} has ended${why}`);
    };
    let told = false;
    const stop = agent.stop.bind(agent);
    agent.stop = () => {
      told = true;
      stop();
    };
    agent.process.onDeath(() => end(""));
    agent.run().then(() => undefined, errorMessage).then((error) => {
      if (agent.process.dead) return;
      // With a disk that takes nothing it may not come to a start.
      const isExcused = !agent.hasLed && [diskThen, this.state.state].some((each) => each !== "ok");
      if (!told && !isExcused) {
        trace.violation("error", `the agent ended by itself: ${error ?? "no error"}`);
      }
      agent.process.kill("it has ended");
      if (!told) this.#startAgain(1_000);
    });
    return agent;
  }

  /** As a supervisor does it: the last one that was started counts. */
  crash(
    { calls, afterAdd, away }: {
      readonly calls: number;
      readonly afterAdd: boolean;
      readonly away: number;
    },
  ): void {
    const agent = this.agents.at(-1);
    if (!agent) return;
    agent.process.onDeath(() => this.#startAgain(away));
    if (afterAdd) agent.atAdd = () => agent.process.dieIn(calls);
    else if (calls === 0) agent.process.kill("killed");
    else agent.process.dieIn(calls);
  }

  crashBeforeRecord(away: number): void {
    const agent = this.agents.at(-1);
    if (!agent) return;
    agent.process.onDeath(() => this.#startAgain(away));
    agent.atAdd = ({ mac }) => {
      this.beginFault("diskStuck");
      agent.atStatus = (devices) => {
        const isTold = devices.some(({ networkData }) => networkData?.hardwareAddress === mac);
        if (isTold) agent.process.kill("killed before the result is on disk");
      };
      this.#world.scheduler.after(STUCK_MS, () => {
        this.endFault("diskStuck");
        agent.atStatus = undefined;
      });
    };
  }

  restart(away: number): void {
    const agent = this.agents.at(-1);
    if (!agent) return;
    agent.process.onDeath(() => this.#startAgain(away));
    agent.stop();
    // As supervisors do. A process ends no earlier than the system calls that it is in.
    this.#world.scheduler.after(30_000, () => {
      if (agent.process.dead) return;
      // Nor before the operation that runs, each plugin of which may use up its time.
      const stuckAt = Math.max(this.#diskStuckAt, this.#pluginStuckAt);
      // What a plugin that was killed has left is on record before that.
      const writing = this.faults.has("diskSlow") ? SLOW_WRITES_MS : 0;
      if (this.#world.scheduler.now - stuckAt > 30_000 + writing) {
        const what = `${agent.process.name} does not end when it is told to`;
        this.#world.trace.violation("limit", what);
      }
      agent.process.kill("it does not end");
    });
  }

  handOver({ course, lasts }: { readonly course: Handover; readonly lasts: number }): void {
    const [old] = this.agents;
    if (!old || this.agents.length > 1) return;
    const { scheduler } = this.#world;
    if (course === "neverReady") this.kubelet.refuseRegistration(lasts);
    const next = this.startAgent();
    if (course === "stays") {
      // Operations that run when it hands over end before the other begins one.
      old.isSlow = this.#world.chance.hits("slow before it hands over", 0.7);
      return;
    }
    if (course === "newDies") scheduler.after(lasts, () => next.process.kill("killed"));
    else if (course === "oldDies") scheduler.after(lasts, () => old.process.kill("killed"));
    else this.#retire(old, next);
  }

  /** Whoever rolls out an update waits until the new one is ready. */
  async #retire(old: AgentProcess, next: AgentProcess): Promise<void> {
    const { scheduler } = this.#world;
    while (!next.process.dead && !this.kubelet.isRegistered(next)) await scheduler.sleep(500);
    await this.#world.pause("retire", 100, 6_000);
    if (!next.process.dead) old.stop();
  }

  #startAgain(away: number): void {
    this.#world.scheduler.after(away, () => {
      if (this.agents.length === 0) this.startAgent();
    });
  }

  /** Whoever is away comes back soon. */
  ensureAgent(): void {
    if (this.agents.length === 0) this.startAgent();
  }

  reboot(): void {
    this.#world.operation(`${this.name} loses its power`);
    const agents = this.agents.length;
    for (const { process } of [...this.agents]) process.kill("power cut");
    this.runtime.reboot();
    this.state.cutPower(this.#world.chance);
    this.run = new Disk();
    this.applyDiskFaults();
    if (agents > 0) this.#startAgain(2_000);
  }

  /** The existing networks of a claim, by its running sandboxes. */
  linksOf(network: string, sandboxes: readonly Sandbox[]) {
    return sandboxes.map((sandbox) => linkOf(sandbox, network));
  }
}
