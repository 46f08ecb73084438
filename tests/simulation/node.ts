import type { AttachmentRecord } from "../../mod/agent/model.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import { AgentProcess } from "./agent_process.ts";
import { DRIVER } from "./api_server.ts";
import type { Mounted } from "./deno_files.ts";
import { Disk } from "./disk.ts";
import { Faults } from "./faults.ts";
import { Kubelet } from "./kubelet.ts";
import { attachmentName, type NetNamespace, NodeNetwork } from "./network.ts";
import { PROGRAMS } from "./plugins.ts";
import type { Handover } from "./plan.ts";
import { linkOf, type Sandbox } from "./pods.ts";
import type { SimulatedProcess } from "./process.ts";
import { SimulatedRuntime } from "./runtime.ts";
import type { World } from "./world.ts";

/** An operation that takes so long, in milliseconds, waits for something and is not counted. */
const WAITS_AFTER = 100;
/** What is left of a record that is damaged. */
export const DAMAGED = '{"version": 1, "cla';

/** One node: its disks, its network, its runtime, its kubelet, and the agents that run on it. */
export class SimulatedNode {
  readonly #world: World;
  readonly name: string;
  readonly network: NodeNetwork;
  readonly faults = new Faults();
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
  /** Leases that only a damaged record told of. */
  readonly orphaned = new Set<string>();
  /** Interfaces that someone removed, as `<sandbox>/<network>`. */
  readonly lost = new Set<string>();
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
        if (!this.#world.chance.hits("held up", 0.02)) return close();
        void this.#world.pause("held up", 1, 300).then(close);
      },
    };
  }

  async #waitForDisk(access: "read" | "change" | "sync"): Promise<void> {
    if (access === "read") return this.#world.pause(`${this.name} read`, 0, 1);
    const slow = this.faults.has("diskSlow") && this.#world.chance.hits("disk slow", 0.5);
    await this.#world.pause(`${this.name} disk`, 0, slow ? 3_000 : 8);
    while (this.faults.has("diskStuck")) await this.#world.scheduler.sleep(200);
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

  /** A CHECK looked. What is found damaged twice may be made anew, rightly or not. */
  looked(attachment: string, lies: boolean): void {
    const [, containerID = "", ifName = ""] = attachment.split("/");
    const sandbox = this.runtime.sandboxes.get(containerID);
    if (!sandbox) return;
    const lied = lies ? (sandbox.lies.get(ifName) ?? 0) + 1 : 0;
    sandbox.lies.set(ifName, lied);
    if (lied > 1) sandbox.vouched.delete(ifName);
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

  /** A record of an attachment becomes unreadable. */
  damageRecord(choice: number): void {
    const records = this.#attachmentRecords();
    const found = records[Math.floor(choice * records.length)];
    if (!found) return;
    this.#world.operation(`the record ${found.path} is damaged`);
    this.state.damage(found.path, new TextEncoder().encode(DAMAGED));
    this.#noteUntold(found.record);
  }

  /** All records go with the agent that kept them, and the kubelet prepares its claims anew. */
  loseState(): void {
    this.#world.operation(`${this.name} loses the agent's state`);
    for (const { record } of this.#attachmentRecords()) this.#noteUntold(record);
    for (const { pod } of this.runtime.sandboxes.values()) {
      for (const { ref } of pod.claims) this.unknown.add(ref.uid);
    }
    for (const { process } of [...this.agents]) process.kill("its state is lost");
    this.state = new Disk();
    // The locks are files of the folder, and stay where it is mounted anew.
    for (const name of ["lead.lock", "next.lock"]) {
      this.state.open(`/${name}`, { write: true, create: true });
    }
    this.applyDiskFaults();
    for (const lease of this.network.leases.keys()) this.orphaned.add(lease);
    this.#startAgain(500);
    this.#world.scheduler.after(600, () => this.kubelet.restart(false));
  }

  #attachmentRecords(): { readonly path: string; readonly record: AttachmentRecord }[] {
    const folder = "/attachments";
    if (!this.state.kind(folder)) return [];
    return this.state.names(folder).filter(({ name }) => name.endsWith(".json")).flatMap(
      ({ name }) => {
        const path = `${folder}/${name}`;
        const text = new TextDecoder().decode(this.state.read(path));
        return text === DAMAGED ? [] : [{ path, record: JSON.parse(text) as AttachmentRecord }];
      },
    );
  }

  /** A record is lost: of its attachment nothing tells but the claim's status, if that does. */
  #noteUntold({ claim, sandbox: { id: containerID }, attachment }: AttachmentRecord): void {
    const { ifName, network } = attachment;
    this.damaged.add(claim.uid);
    this.orphaned.add(attachmentName(network.name, containerID, ifName));
    const sandbox = this.runtime.sandboxes.get(containerID);
    const mac = sandbox?.vouched.get(ifName)?.mac;
    const entries = this.#world.api.claims.get(`default/${claim.name}`)?.status.devices;
    const isTold = entries?.some(({ networkData }) => networkData?.hardwareAddress === mac);
    const isShared = sandbox?.pod.claims.some(({ plan, ref }) =>
      ref.uid === claim.uid && !plan.isTemplate
    );
    // Nor does CHECK, where it never succeeds.
    const isUnchecked = network.plugins.some(({ type }) => type === "vrf");
    if (!isTold || isShared || isUnchecked) sandbox?.vouched.delete(ifName);
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
    const diskThen = this.state.state;
    this.agents.push(agent);
    this.#world.operation(`${agent.process.name} starts`);
    const end = (why: string) => {
      this.#lastDeath = scheduler.now;
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

  restart(away: number): void {
    const agent = this.agents.at(-1);
    if (!agent) return;
    agent.process.onDeath(() => this.#startAgain(away));
    agent.stop();
    // As supervisors do.
    this.#world.scheduler.after(30_000, () => {
      if (agent.process.dead) return;
      this.#world.trace.violation("limit", `${agent.process.name} does not end when it is told to`);
      agent.process.kill("it does not end");
    });
  }

  handOver({ course, lasts }: { readonly course: Handover; readonly lasts: number }): void {
    const [old] = this.agents;
    if (!old || this.agents.length > 1) return;
    const { scheduler } = this.#world;
    if (course === "neverReady") this.kubelet.refuseRegistration(lasts);
    const next = this.startAgent();
    if (course === "stays") return;
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

  /** What of a claim's networks there is, by its running sandboxes. */
  linksOf(network: string, sandboxes: readonly Sandbox[]) {
    return sandboxes.map((sandbox) => linkOf(sandbox, network));
  }
}
