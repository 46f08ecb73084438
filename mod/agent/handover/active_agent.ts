import type { ClaimRef } from "../../claim/attachment.ts";
import type { Agent } from "../agent.ts";
import type { Prepared } from "../claims/prepare.ts";
import { Notifier } from "../../async/notifier.ts";
import type { Sandbox } from "../model.ts";
import { KnownSandboxes } from "./known_sandboxes.ts";
import { RecordedAdmission, type RecordedAdmissionPorts } from "./recorded_admission.ts";
import { describePod } from "../describe.ts";

/** How often the records are read for a container that waits. */
const LOOK_INTERVAL_MS = 50;

/** What ActiveAgent reads while another agent leads. */
export type ActiveAgentPorts = RecordedAdmissionPorts;

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

  /** The agent leads from now on. Resolves when it has dealt with the sandboxes that there are. */
  async take(agent: Agent): Promise<void> {
    this.#term = { agent, over: new AbortController(), calls: new Set() };
    this.#changes.notify();
    const { synchronized, sandboxes, started } = this.#knownSandboxes;
    if (synchronized) await agent.reconcile(sandboxes, started);
  }

  /** The agent no longer leads. Resolves when no call to it is under way. */
  async leave(): Promise<void> {
    const term = this.#term;
    this.#term = undefined;
    term?.over.abort();
    await Promise.allSettled([...term?.calls ?? []]);
  }

  /** Calls that wait are refused, and those that come; an Unprepare that runs is broken off. */
  close(): void {
    this.#closed.abort(new Error("the agent is stopping; the next one will answer"));
  }

  async synchronize(sandboxes: readonly Sandbox[], started: ReadonlySet<string>): Promise<void> {
    this.#knownSandboxes.synchronize(sandboxes, started);
    await this.#term?.agent.reconcile(sandboxes, started);
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

  prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    return this.#call(signal, async ({ agent }) => {
      const answers = await agent.prepare(refs, signal);
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
    return this.#call(signal, ({ agent, over }) => {
      const until = AbortSignal.any([signal, over.signal, this.#closed.signal]);
      return agent.unprepare(refs, until);
    });
  }

  async #gate(
    sandbox: Sandbox,
    { cdiDevices, signal }: {
      readonly cdiDevices: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const recorded = new RecordedAdmission(this.#ports, { sandbox, cdiDevices, signal });
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
        await this.#ports.clock.sleep(LOOK_INTERVAL_MS, signal).catch(() => {});
        if (!signal.aborted) continue;
        throw new Error(
          `the networks of ${describePod(sandbox.pod)} are not ready: ` +
            `another agent of this node attaches them (${missing})`,
        );
      }
    }
  }

  async #call<T>(signal: AbortSignal, call: (term: Term) => Promise<T>): Promise<T> {
    const until = AbortSignal.any([signal, this.#closed.signal]);
    while (!this.#term) {
      // Else a call that comes now would wait for nobody.
      until.throwIfAborted();
      await this.#changes.next(until);
    }
    const term = this.#term;
    const running = call(term);
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
