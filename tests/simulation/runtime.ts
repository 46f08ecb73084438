import type { Sandbox as ReportedSandbox } from "../../mod/agent/model.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import type { AgentProcess, Listed } from "./agent_process.ts";
import { DRIVER } from "./api_server.ts";
import type { SimulatedNode } from "./node.ts";
import type { End, RuntimeKind } from "./plan.ts";
import { type Container, linkOf, networksOf, type Pod, type Sandbox } from "./pods.ts";
import type { World } from "./world.ts";

/** The runtime waits for a plugin's answer so long; the plugin's session sees that one comes before. */
const DUE = 1_500;
const LATE = 1_750;

interface Connection {
  readonly agent: AgentProcess;
  /** Whether it gets events. */
  isReady: boolean;
  isClosed: boolean;
  readonly closed: Promise<void>;
  readonly close: () => void;
}

/** A container runtime: what it does with sandboxes, and what it tells NRI plugins of that and when. */
export class SimulatedRuntime {
  readonly #world: World;
  readonly #node: SimulatedNode;
  readonly #kind: RuntimeKind;
  readonly sandboxes = new Map<string, Sandbox>();
  #connections: Connection[] = [];
  /** Events of all pods, one at a time. */
  #events: Promise<unknown> = Promise.resolve();
  #up: Promise<void> = Promise.resolve();
  #epoch = 0;
  #count = 0;

  constructor(world: World, node: SimulatedNode, kind: RuntimeKind) {
    this.#world = world;
    this.#node = node;
    this.#kind = kind;
  }

  get running(): Sandbox[] {
    return [...this.sandboxes.values()].filter(({ state, ending }) =>
      state === "running" && !ending
    );
  }

  /** One connection of a plugin, to its end. */
  async connect(
    agent: AgentProcess,
    { signal, onSynchronized }: {
      readonly signal: AbortSignal;
      readonly onSynchronized: () => void;
    },
  ): Promise<void> {
    const { process } = agent;
    await process.later("connect to the runtime", async () => {
      await this.#up;
      await this.#pause("connect", 1, 50);
    });
    const end = Promise.withResolvers<void>();
    const connection: Connection = {
      agent,
      isReady: false,
      isClosed: false,
      closed: end.promise,
      close: () => {
        connection.isClosed = true;
        this.#connections = this.#connections.filter((each) => each !== connection);
        // The other side sees it a little later.
        this.#world.scheduler.after(0, end.resolve);
      },
    };
    process.onDeath(connection.close);
    signal.addEventListener("abort", connection.close, { once: true });
    if (signal.aborted) connection.close();
    this.#connections.push(connection);
    const failure = await this.#inTurn(() => this.#synchronize(connection));
    if (failure) {
      connection.close();
      await process.later("", () => Promise.resolve());
      throw failure;
    }
    await process.later("", () => Promise.resolve());
    if (!connection.isClosed) onSynchronized();
    await process.later("", () => connection.closed);
  }

  async #synchronize(connection: Connection): Promise<Error | undefined> {
    const { sandboxes, containers } = this.#list();
    this.#world.operation(`Synchronize ${connection.agent.process.name} (${sandboxes.length})`);
    const failure = await this.#tell(
      connection,
      (agent) => agent.synchronize(sandboxes, containers),
    );
    // Events that come from now on are told.
    if (!failure) connection.isReady = true;
    return failure;
  }

  #list(): Listed {
    const listed: ReportedSandbox[] = [];
    const started = new Set<string>();
    const created = new Set<string>();
    for (const sandbox of this.sandboxes.values()) {
      const { id, state, containers } = sandbox;
      if (state === "making" || state === "gone") continue;
      if (state === "stopped" && this.#kind === "cri-o") continue;
      const isWhole = state === "running" || state === "stopped" && this.#kind === "containerd-1.7";
      listed.push({
        ...this.#reported(sandbox),
        ...(!isWhole && { netns: undefined, incomplete: true as const }),
      });
      const mayHaveRun = containers.some(({ state, hasMount }) =>
        state === "running" || state === "stopped" && !hasMount
      );
      if (mayHaveRun) started.add(id);
      if (containers.some(({ state }) => state === "created")) created.add(id);
    }
    return { sandboxes: listed, containers: { started, created } };
  }

  #reported({ id, pod, namespace }: Sandbox): ReportedSandbox {
    return {
      id,
      pod: { namespace: "default", name: pod.name, uid: pod.uid },
      netns: namespace.path,
    };
  }

  /** Makes a sandbox. @throws Error when it cannot be, or is refused */
  async run(pod: Pod): Promise<Sandbox> {
    await this.#up;
    const epoch = this.#epoch;
    const id = `${pod.name}s${++this.#count}`;
    const namespace = this.#node.network.create(`/run/netns/${id}`);
    const { network } = this.#node;
    network.addLink(namespace, { name: "eth0", owner: "the cluster's network" });
    for (const { ifName, after } of pod.plan.foreign) {
      if (after === "before") network.addLink(namespace, { name: ifName, owner: "another plugin" });
    }
    const sandbox: Sandbox = {
      id,
      pod,
      namespace,
      state: "making",
      ending: false,
      isFirst: pod.sandboxes++ === 0,
      containers: [],
      vouched: new Map(),
      lies: new Map(),
      forgotten: false,
    };
    this.sandboxes.set(id, sandbox);
    await this.#pause("make", 5, 60);
    const gap = this.#kind !== "containerd-2.1";
    const refused = await this.#event(
      `RunPodSandbox ${id}`,
      async (connection) =>
        await this.#tell(connection, (agent) => agent.runPodSandbox(this.#reported(sandbox))),
      () => {
        if (!gap && epoch === this.#epoch) sandbox.state = "running";
      },
    );
    if (gap) await this.#pause("gap", 0, 40);
    if (epoch !== this.#epoch) {
      if (this.sandboxes.get(id) === sandbox) {
        sandbox.state = "broken";
        this.#unmount(sandbox);
      }
      throw new Error("the runtime went away");
    }
    sandbox.state = "running";
    if (refused) {
      await this.end(sandbox, "usual");
      throw refused;
    }
    this.#node.foreignLinks(sandbox);
    return sandbox;
  }

  /** Creates and starts it. @throws Error that is the refusal */
  async startContainer(sandbox: Sandbox, name: string): Promise<void> {
    await this.#up;
    const epoch = this.#epoch;
    const { pod } = sandbox;
    const uids = pod.plan.namesClaims ? pod.claims.map(({ ref }) => ref.uid) : [];
    const cdiDevices = uids.map((uid) => `${DRIVER}/claim=${uid}`);
    for (const uid of uids) {
      if (!this.#node.cdiFile(uid, ".json")) throw new Error(`unresolvable CDI device ${uid}`);
    }
    const container: Container = { name, hasMount: uids.length > 0, state: "created" };
    sandbox.containers.push(container);
    const guards = this.#connections.filter(({ isReady }) => isReady);
    const isNamed = this.#kind !== "containerd-1.7";
    const refused = await this.#event(
      `CreateContainer ${sandbox.id}/${name}`,
      (connection) =>
        this.#tell(connection, (agent, signal) =>
          agent.createContainer(this.#reported(sandbox), {
            cdiDevices: isNamed ? cdiDevices : [],
            signal,
          })),
    );
    const drop = () => void sandbox.containers.splice(sandbox.containers.indexOf(container), 1);
    if (refused || epoch !== this.#epoch || sandbox.state !== "running" || sandbox.ending) {
      drop();
      throw refused ?? new Error("the sandbox is gone");
    }
    await this.#pause("start", 1, 20);
    if (sandbox.state !== "running" || sandbox.ending) return;
    for (const uid of uids) {
      if (this.#node.cdiFile(uid, ".attached")) continue;
      container.state = "stopped";
      this.#world.scheduler.after(200, drop);
      throw new Error(`the mount of ${uid} is not there`);
    }
    container.state = "running";
    const guarded = guards.some(({ isClosed }) => !isClosed);
    this.#assertComplete(sandbox, container, guarded);
    this.#vouch(sandbox, guarded);
  }

  /** @param guarded whether an agent was connected all the time */
  #assertComplete(sandbox: Sandbox, { name, hasMount }: Container, guarded: boolean): void {
    const { pod, isFirst } = sandbox;
    const missing = networksOf(pod).map(({ network }) => network).filter((network) =>
      !linkOf(sandbox, network) && !this.#node.isExcusedLost(sandbox, network)
    );
    if (missing.length === 0) return;
    const isHeld = hasMount && isFirst &&
      pod.claims.every(({ plan, ref }) => plan.isTemplate && !this.#node.damaged.has(ref.uid));
    if (!guarded && !isHeld) return;
    // Nothing says any more, or yet, which claims it uses.
    if (pod.deleting && !this.#world.api.pods.has(`default/${pod.name}`)) return;
    if (!hasMount && pod.claims.some(({ ref }) => this.#node.untold.has(ref.uid))) return;
    const away = guarded ? "" : " while the agent was away";
    const what = `${name} of ${sandbox.id} started without ${missing.join(", ")}${away}`;
    this.#world.trace.violation("gate", what);
  }

  /** From now on containers live by what is there, as far as an agent can know of it. */
  #vouch(sandbox: Sandbox, guarded: boolean): void {
    for (const network of networksOf(sandbox.pod)) {
      const link = linkOf(sandbox, network.network);
      if (!link || this.#node.orphaned.has(link.owner)) continue;
      if (guarded) this.#node.assertOnRecord(sandbox, network, link);
      const isAway = this.#connections.length === 0;
      const isKnown = guarded || isAway && this.#node.isTold(network, link.mac);
      if (isKnown) sandbox.vouched.set(link.name, link);
    }
  }

  async end(sandbox: Sandbox, how: End): Promise<void> {
    await this.#up;
    if (sandbox.state === "gone") return;
    sandbox.ending = true;
    const stop = () => this.#sayStopped(sandbox, "StopPodSandbox");
    const removesFirst = this.#kind === "cri-o" || how === "namespaceFirst";
    sandbox.state = "stopped";
    if (how === "unannounced" || how === "removeWithoutStop" || removesFirst) {
      this.#unmount(sandbox);
      await this.#pause("unmount", 0, 30);
    }
    if (how !== "unannounced" && how !== "removeWithoutStop") {
      await stop();
      if (how === "stopTwice") await stop();
      this.#unmount(sandbox);
    }
    await this.#pause("remove", 0, 200);
    sandbox.state = "gone";
    this.sandboxes.delete(sandbox.id);
    if (how !== "unannounced") await this.#sayStopped(sandbox, "RemovePodSandbox");
  }

  /** Of a sandbox that ended long ago. */
  stopLate(sandbox: Sandbox): Promise<void> {
    return this.#sayStopped(sandbox, "StopPodSandbox");
  }

  async #sayStopped(sandbox: Sandbox, event: string): Promise<void> {
    if (sandbox.forgotten) return;
    await this.#event(
      `${event} ${sandbox.id}`,
      (connection) => this.#tell(connection, (agent) => agent.stopPodSandbox(sandbox.id)),
    );
  }

  #unmount({ namespace }: Sandbox): void {
    if (namespace.mounted) this.#node.network.unmount(namespace);
  }

  disconnect(): void {
    for (const { close } of [...this.#connections]) close();
  }

  async restart(away: number): Promise<void> {
    await this.#up;
    const up = Promise.withResolvers<void>();
    this.#up = up.promise;
    this.#epoch++;
    this.disconnect();
    const { chance, scheduler } = this.#world;
    for (const sandbox of this.sandboxes.values()) {
      if (this.#kind !== "cri-o") sandbox.forgotten = chance.hits("missed stop", 0.6);
    }
    await scheduler.sleep(away);
    up.resolve();
  }

  /** All of the node's sandboxes are gone. */
  reboot(): void {
    this.#epoch++;
    this.disconnect();
    for (const sandbox of this.sandboxes.values()) {
      sandbox.state = "gone";
      sandbox.ending = true;
      this.#unmount(sandbox);
      sandbox.pod.wake();
    }
    this.sandboxes.clear();
  }

  /** Tells all plugins in turn. @returns the first refusal */
  #event(
    what: string,
    tell: (connection: Connection) => Promise<Error | undefined>,
    done = () => {},
  ): Promise<Error | undefined> {
    return this.#inTurn(async () => {
      this.#world.operation(what);
      let refused: Error | undefined;
      for (const connection of this.#connections.filter(({ isReady }) => isReady)) {
        refused ??= await tell(connection);
      }
      done();
      return refused;
    });
  }

  /** @returns the plugin's error; a plugin that is gone, or does not answer, has none */
  async #tell(
    connection: Connection,
    call: (agent: AgentProcess["activeAgent"], signal: AbortSignal) => void | Promise<void>,
  ): Promise<Error | undefined> {
    const slow = this.#node.faults.has("runtimeSlow");
    await this.#pause("tell", 0, slow ? 300 : 3);
    const { process, activeAgent } = connection.agent;
    if (connection.isClosed || process.dead) return undefined;
    const due = new AbortController();
    const { scheduler, trace } = this.#world;
    const timers: (() => void)[] = [];
    const late = new Promise<Error>((resolve) => {
      timers.push(scheduler.after(DUE, () => due.abort(new Error("the answer is due"))));
      timers.push(scheduler.after(LATE, () => {
        if (!process.dead && !connection.isClosed) {
          trace.violation("limit", `${process.name} does not answer the runtime in time`);
        }
        resolve(new Error("not done within the runtime's time"));
      }));
    });
    const answer = (async () => {
      try {
        await call(activeAgent, due.signal);
        return undefined;
      } catch (error) {
        return error instanceof Error ? error : new Error(errorMessage(error));
      }
    })();
    const outcome = await Promise.race([answer, late, connection.closed.then(() => undefined)]);
    for (const cancel of timers) cancel();
    await this.#pause("told", 0, 3);
    if (outcome) trace.note(`refused: ${outcome.message}`);
    return outcome;
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#events.then(task);
    this.#events = result.catch(() => {});
    return result;
  }

  #pause(what: string, least: number, most: number): Promise<void> {
    return this.#world.pause(`${this.#node.name} runtime ${what}`, least, most);
  }
}
