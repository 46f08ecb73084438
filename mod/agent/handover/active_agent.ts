import type { ClaimRef } from "../../claim/attachment.ts";
import type { Agent } from "../agent.ts";
import type { Prepared } from "../claims/prepare.ts";
import { aborted, NOT_NEEDED } from "../../async/aborted.ts";
import { timeLimit } from "../../async/time_limit.ts";
import { Notifier } from "../../async/notifier.ts";
import type { Sandbox } from "../model.ts";
import type { WaitingSandboxes } from "../ports.ts";
import { KnownSandboxes, type ListedContainers } from "./known_sandboxes.ts";
import { RecordedAdmission, type RecordedAdmissionPorts } from "./recorded_admission.ts";
import { describePod } from "../describe.ts";

/** The kubelet's calls are answered before its 45 s are over, also those that wait for an agent to lead. */
const CALL_LIMIT_MS = 40_000;
/**
 * How long a Prepare that runs goes on when the agent stops. A kubelet tries one that failed again after
 * a minute and more, so most are to end; supervisors kill what does not stop within 30 s.
 */
const STOP_MS = 10_000;
/** How often the records are read for a container that waits. */
const LOOK_INTERVAL_MS = 50;

/** How often the agent that leads looks for what waits at others. A container waits for at least 1.5 s. */
const WAITING_INTERVAL_MS = 1_000;

/** What ActiveAgent reads while another agent leads, and how it tells that one of what waits here. */
export interface ActiveAgentPorts extends RecordedAdmissionPorts {
  readonly waiting: WaitingSandboxes;
}

/**
 * Where the runtime and the kubelet find the agent, whether or not it leads. While it does not,
 * the kubelet's calls wait until it does, and a container waits until it does or until the agent
 * that leads has put on record that the pod's networks are there.
 */
export class ActiveAgent {
  readonly #ports: ActiveAgentPorts;
  readonly #knownSandboxes = new KnownSandboxes();
  readonly #changes = new Notifier();
  readonly #closed = new AbortController();
  #term: Term | undefined;

  constructor(ports: ActiveAgentPorts) {
    this.#ports = ports;
  }

  /** The agent while it leads; undefined while another does. */
  get agent(): Agent | undefined {
    return this.#term?.agent;
  }

  /** The sandboxes that the runtime has reported; undefined while it is not connected. */
  get sandboxes(): readonly Sandbox[] | undefined {
    const { synchronized, sandboxes } = this.#knownSandboxes;
    return synchronized ? sandboxes : undefined;
  }

  /** The agent leads from now on. Resolves when it has dealt with the sandboxes that there are. */
  async take(agent: Agent): Promise<void> {
    const term = { agent, over: new AbortController(), calls: new Set<Promise<unknown>>() };
    this.#term = term;
    this.#changes.notify();
    await this.#reconcile(term, this.#knownSandboxes.started);
    term.calls.add(this.#attachWaiting(term));
  }

  /** The agent no longer leads. Resolves when no call to it is in progress. */
  async leave(): Promise<void> {
    const term = this.#term;
    this.#term = undefined;
    term?.over.abort();
    await Promise.allSettled([...term?.calls ?? []]);
    if (term) await Promise.all(this.#knownSandboxes.starting.map((each) => this.#put(each)));
  }

  /** Calls that wait are refused, and those that come; calls that run are broken off if they take long. */
  close(): void {
    this.#closed.abort(new Error("the agent is stopping; the next one will answer"));
  }

  async synchronize(sandboxes: readonly Sandbox[], containers: ListedContainers): Promise<void> {
    this.#knownSandboxes.synchronize(sandboxes, containers);
    if (this.#term) await this.#reconcile(this.#term, containers.started);
  }

  /** The runtime is disconnected: it reports its sandboxes when it synchronizes again. */
  disconnected(): void {
    this.#knownSandboxes.synchronized = false;
    this.#term?.agent.disconnected();
  }

  runPodSandbox(sandbox: Sandbox): void {
    this.#knownSandboxes.runs(sandbox);
    this.#term?.agent.attach(sandbox);
  }

  stopPodSandbox(sandboxId: string): void {
    this.#knownSandboxes.stopped(sandboxId);
    this.#term?.agent.detach(sandboxId);
  }

  /** CreateContainer: as {@link Agent.gate}. */
  async createContainer(
    sandbox: Sandbox,
    options: { readonly cdiDevices: readonly string[]; readonly signal: AbortSignal },
  ): Promise<void> {
    this.#knownSandboxes.lives(sandbox);
    await this.#gate(sandbox, options);
    this.#knownSandboxes.containerCreated(sandbox.id);
  }

  /** One that takes long is broken off some seconds after the agent begins to stop. */
  prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    return this.#call(signal, async ({ agent }, limit) => {
      const ended = new AbortController();
      const broken = new AbortController();
      const breakOff = async () => {
        await aborted(this.#closed.signal, ended.signal);
        await this.#ports.clock.sleep(STOP_MS, ended.signal);
        broken.abort(this.#closed.signal.reason);
      };
      breakOff().catch(() => {});
      const until = AbortSignal.any([limit, broken.signal]);
      const answers = await agent.prepare(refs, until).finally(() => ended.abort(NOT_NEEDED));
      const { sandboxes, started } = this.#knownSandboxes;
      for (const uid of answers.keys()) agent.takeUp(uid, sandboxes, started);
      return answers;
    });
  }

  /**
   * What takes long is broken off when the agent stops or no longer leads: the kubelet asks again, and
   * the next agent answers.
   */
  unprepare(
    refs: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<Map<string, { error?: string }>> {
    return this.#call(
      signal,
      ({ agent, over }, until) =>
        agent.unprepare(refs, AbortSignal.any([until, over.signal, this.#closed.signal])),
    );
  }

  /** Deals with the sandboxes that the runtime listed, and with those that it may have left out. */
  async #reconcile({ agent, over }: Term, started: ReadonlySet<string>): Promise<void> {
    if (!this.#knownSandboxes.synchronized) return;
    for (const sandbox of await this.#takeWaiting()) this.#knownSandboxes.lives(sandbox);
    // Meanwhile the runtime may have been disconnected, or the term have ended.
    const { synchronized, sandboxes } = this.#knownSandboxes;
    if (synchronized && !over.signal.aborted) await agent.reconcile(sandboxes, started);
  }

  /** Attaches the networks for which containers wait at other agents of the node. */
  async #attachWaiting({ agent, over: { signal } }: Term): Promise<void> {
    let waiting: readonly Sandbox[] = [];
    while (!signal.aborted) {
      // A runtime that is away lists its sandboxes before they count.
      if (this.#knownSandboxes.synchronized) {
        const taken = await this.#takeWaiting();
        if (signal.aborted) return;
        for (const sandbox of taken) this.#knownSandboxes.lives(sandbox);
        waiting = [...waiting, ...taken].filter((sandbox) =>
          this.#knownSandboxes.has(sandbox.id) && !agent.attachWaiting(sandbox)
        );
      }
      await this.#ports.clock.sleep(WAITING_INTERVAL_MS, signal).catch(() => {});
    }
  }

  async #takeWaiting(): Promise<readonly Sandbox[]> {
    // What cannot be read now waits for the next time.
    return await this.#ports.waiting.take().catch(() => []);
  }

  /** Tells the agent that leads, or the next, of a sandbox that it may not know. */
  async #put(sandbox: Sandbox): Promise<void> {
    if (sandbox.incomplete || sandbox.netns === undefined) return;
    // A disk that takes nothing keeps that agent from attaching, too.
    await this.#ports.waiting.put(sandbox).catch(() => {});
  }

  async #gate(
    sandbox: Sandbox,
    { cdiDevices, signal }: {
      readonly cdiDevices: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const recorded = new RecordedAdmission(this.#ports, { sandbox, cdiDevices, signal });
    let isPut = false;
    for (;;) {
      const term = this.#term;
      if (term) {
        const until = AbortSignal.any([signal, term.over.signal]);
        try {
          return await term.agent.gate(sandbox, { cdiDevices, signal: until });
        } catch (error) {
          // The agent that leads now may have attached what this one could not.
          if (!term.over.signal.aborted || signal.aborted) throw error;
        }
      } else {
        const missing = await recorded.waitsFor();
        if (missing === undefined) return;
        if (!isPut) void this.#put(sandbox);
        isPut = true;
        await this.#ports.clock.sleep(LOOK_INTERVAL_MS, signal).catch(() => {});
        if (!signal.aborted) continue;
        throw new Error(
          `the networks of ${describePod(sandbox.pod)} are not ready: ` +
            `another agent of this node attaches them (${missing})`,
        );
      }
    }
  }

  async #call<T>(
    signal: AbortSignal,
    call: (term: Term, until: AbortSignal) => Promise<T>,
  ): Promise<T> {
    using limit = timeLimit(this.#ports.clock, CALL_LIMIT_MS, signal);
    const until = AbortSignal.any([limit.signal, this.#closed.signal]);
    while (!this.#term) {
      // Otherwise a call that comes now would wait forever.
      until.throwIfAborted();
      await this.#changes.next(until).catch((error) => {
        throw signal.aborted || this.#closed.signal.aborted ? error : new Error(
          "no agent on this node leads yet: the previous one is still stopping, or none is ready",
        );
      });
    }
    const term = this.#term;
    const running = call(term, limit.signal);
    term.calls.add(running);
    try {
      return await running;
    } finally {
      term.calls.delete(running);
    }
  }
}

/** The time for which an agent leads. */
interface Term {
  readonly agent: Agent;
  readonly over: AbortController;
  readonly calls: Set<Promise<unknown>>;
}
