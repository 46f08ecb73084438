import type { ClaimRef } from "../../mod/claim/attachment.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import type { AgentProcess } from "./agent_process.ts";
import type { SimulatedNode } from "./node.ts";
import type { Claim, Pod } from "./pods.ts";
import type { World } from "./world.ts";

/** The kubelet gives up a call after this, in milliseconds. */
const DEADLINE = 45_000;
/** An agent whose call was given up ends it within this. */
const GRACE = 3_000;

interface ClaimInfo {
  readonly claim: Claim;
  readonly pods: Set<Pod>;
  isPrepared: boolean;
  /** Whether the agent has unprepared it, while the kubelet's call failed for another claim. */
  isUnprepared: boolean;
  /** A call that a kubelet repeats for pods that live; their ends come after it. */
  preparing: Promise<void>;
}

type Verb = "prepare" | "unprepare";

/** A kubelet: which claims it takes as prepared, and the lives of its pods. */
export class Kubelet {
  readonly #world: World;
  readonly #node: SimulatedNode;
  readonly #infos = new Map<string, ClaimInfo>();
  /** In the order they registered. */
  #agents: AgentProcess[] = [];
  #refusesUntil = 0;
  /** Incremented when it restarts: operations in progress at that time have no owner any longer. */
  #epoch = 0;

  constructor(world: World, node: SimulatedNode) {
    this.#world = world;
    this.#node = node;
  }

  /** UIDs of the claims that it takes as prepared, or is preparing or unpreparing. */
  get claims(): string[] {
    return [...this.#infos.keys()];
  }

  isPrepared(uid: string): boolean {
    return this.#infos.has(uid);
  }

  /** Resolves when the agent is registered. */
  register(agent: AgentProcess): Promise<void> {
    return agent.process.later("register", async () => {
      await this.#pause("register", 20, 500);
      const { scheduler } = this.#world;
      const wait = this.#refusesUntil - scheduler.now;
      if (wait > 0 && this.#agents.length > 0) await scheduler.sleep(wait);
      if (!agent.process.dead && agent.isOffered) this.#agents.push(agent);
    });
  }

  isRegistered(agent: AgentProcess): boolean {
    return this.#agents.includes(agent);
  }

  refuseRegistration(ms: number): void {
    this.#refusesUntil = this.#world.scheduler.now + ms;
  }

  /** Its registry socket is gone. */
  forget(agent: AgentProcess): Promise<void> {
    return agent.process.later("deregister", async () => {
      this.lost(agent);
      await this.#pause("deregister", 1, 100);
    });
  }

  lost(agent: AgentProcess): void {
    this.#agents = this.#agents.filter((each) => each !== agent);
  }

  /** From its begin to its end. */
  async live(pod: Pod): Promise<void> {
    const { plan } = pod;
    if (await this.#prepare(pod)) {
      await this.#runSandboxes(pod);
    }
    const { sandbox } = pod;
    if (sandbox && sandbox.state !== "gone") await this.#node.runtime.end(sandbox, plan.end);
    await this.#unprepare(pod);
    pod.gone = true;
    this.#world.trace.note(`${pod.name} has ended`);
  }

  /** False when the pod is deleted before its claims are prepared. */
  async #prepare(pod: Pod): Promise<boolean> {
    for (let tries = 0; !pod.deleting; tries++) {
      const needed: ClaimInfo[] = [];
      for (const claim of pod.claims) {
        const info = this.#infoOf(claim);
        info.pods.add(pod);
        if (!info.isPrepared) needed.push(info);
        else if (info.isUnprepared) pod.unprepared = true;
      }
      if (needed.length === 0) return true;
      if (await this.#call("prepare", needed)) {
        if (pod.plan.prepareTwice && tries === 0) await this.#call("prepare", needed);
        for (const info of needed) setPrepared(info);
        return !pod.deleting;
      }
      await this.#sleepOrWake(pod, 2_000);
    }
    return false;
  }

  #infoOf(claim: Claim): ClaimInfo {
    const { uid } = claim.ref;
    let info = this.#infos.get(uid);
    if (!info) {
      const preparing = Promise.resolve();
      info = { claim, pods: new Set(), isPrepared: false, isUnprepared: false, preparing };
      this.#infos.set(uid, info);
    }
    return info;
  }

  async #runSandboxes(pod: Pod): Promise<void> {
    const { scheduler } = this.#world;
    const began = scheduler.now;
    const replaced = [...pod.plan.replacedAt];
    let failures = 0;
    while (!pod.deleting) {
      const { sandbox } = pod;
      try {
        if (sandbox?.state !== "running") {
          pod.sandbox = undefined;
          // A kubelet that has restarted prepares the claims again before it makes a sandbox.
          if (!await this.#prepare(pod)) return;
          pod.sandbox = await this.#node.runtime.run(pod);
          failures = 0;
          continue;
        }
        const due = replaced[0] === undefined ? Infinity : began + replaced[0] - scheduler.now;
        if (due <= 0) {
          replaced.shift();
          await this.#node.runtime.end(sandbox, pod.plan.end);
          if (pod.plan.unprepareTwice) {
            scheduler.after(3_000, () => void this.#node.runtime.stopLate(sandbox));
          }
          continue;
        }
        if (sandbox.containers.length < pod.plan.containers) {
          await this.#node.runtime.startContainer(sandbox, `c${sandbox.containers.length}`);
          failures = 0;
        } else await this.#sleepOrWake(pod, due);
      } catch (error) {
        this.#world.trace.note(`${pod.name}: ${errorMessage(error)}`);
        await this.#sleepOrWake(pod, failures++ === 0 ? 400 : 5_000);
      }
    }
  }

  #sleepOrWake(pod: Pod, ms: number): Promise<void> {
    return new Promise((resolve) => {
      pod.wake = resolve;
      if (ms !== Infinity) this.#world.scheduler.after(ms, resolve);
      if (pod.deleting) resolve();
    });
  }

  async #unprepare(pod: Pod): Promise<void> {
    const { plan } = pod;
    for (;;) {
      const epoch = this.#epoch;
      const ending: ClaimInfo[] = [];
      for (const { ref } of pod.claims) {
        const info = this.#infos.get(ref.uid);
        if (!info?.pods.has(pod)) continue;
        const others = [...info.pods].filter((other) => other !== pod);
        // Kubelets before July 2026, of a pod whose own Prepare failed.
        if (others.length > 0 && !plan.unpreparesShared) info.pods.delete(pod);
        else ending.push(info);
      }
      if (ending.length === 0) return;
      await Promise.all(ending.map(({ preparing }) => preparing));
      if (!this.#world.plan.joinsUnprepared) { for (const info of ending) info.isPrepared = false; }
      const done = await this.#call("unprepare", ending);
      if (epoch !== this.#epoch) continue;
      if (!done) {
        await this.#world.pause("unprepare again", 1_000, 5_000);
        continue;
      }
      if (plan.unprepareTwice) await this.#call("unprepare", ending);
      for (const info of ending) {
        info.pods.delete(pod);
        const { uid } = info.claim.ref;
        if (this.#infos.get(uid) !== info) continue;
        // Who came meanwhile took it as prepared.
        if (this.#world.plan.joinsUnprepared && info.isPrepared) {
          for (const other of info.pods) other.unprepared = true;
          this.#infos.delete(uid);
        } else if (info.pods.size === 0) this.#infos.delete(uid);
      }
    }
  }

  /** Unprepare of what is not prepared here, or by another UID. */
  strangeUnprepare(choice: number): void {
    const infos = [...this.#infos.values()];
    const found = infos[Math.floor(choice * infos.length)];
    const ref = found ? found.claim.ref : { namespace: "default", name: "none", uid: "none" };
    void this.#callAgents("unprepare", [{ ...ref, uid: `${ref.uid}-other` }]);
  }

  /** What it had prepared it prepares again; or it has lost all that it knew. */
  restart(forgets: boolean): void {
    this.#world.operation(`${this.#node.name} kubelet restarts`);
    this.#epoch++;
    // It registers what it finds, in any order.
    if (this.#world.chance.hits("registered in another order", 0.5)) this.#agents.reverse();
    const living = [...this.#infos.values()];
    if (forgets) {
      this.#drainByForce();
      for (const info of living) {
        if ([...info.pods].every(({ deleting }) => deleting)) {
          this.#infos.delete(info.claim.ref.uid);
          this.#world.forgotten.add(info.claim.ref.uid);
        }
      }
    }
    for (const info of living) {
      if (![...info.pods].some((pod) => !pod.deleting)) continue;
      info.isPrepared = false;
      info.preparing = this.#prepareAnew(info);
    }
  }

  /** While all of the node is away, someone may delete by force the pods of a claim. */
  #drainByForce(): void {
    const { chance } = this.#world;
    const shared = [...this.#infos.values()].filter(({ claim }) => !claim.plan.isTemplate);
    const found = shared[chance.between("drained", 0, 2 * shared.length)];
    if (!found) return;
    for (const pod of found.pods) this.#world.removeByForce(pod);
    // For a while an agent takes what it has read for what is allocated now.
    this.#node.crash({ calls: 0, afterAdd: false, away: 300 });
  }

  async #prepareAnew(info: ClaimInfo): Promise<void> {
    const isOver = () => [...info.pods].every(({ deleting }) => deleting) || info.isPrepared;
    for (; !isOver(); await this.#world.scheduler.sleep(2_000)) {
      if (await this.#call("prepare", [info])) setPrepared(info);
    }
  }

  async #call(verb: Verb, infos: readonly ClaimInfo[]): Promise<boolean> {
    return await this.#callAgents(verb, infos.map(({ claim }) => claim.ref));
  }

  /** One call for all; whether all of it succeeded. */
  async #callAgents(verb: Verb, refs: readonly ClaimRef[]): Promise<boolean> {
    const { chance, scheduler, trace } = this.#world;
    const old = this.#agents.length > 1 && chance.hits("an older agent is called", 0.15);
    const agent = this.#agents.at(old ? 0 : -1);
    const what = `${verb} ${refs.map(({ name }) => name).join(" ")}`;
    const before = refs.map((ref) => this.#world.devicesOf(ref));
    if (!agent) return false;
    const { process, activeAgent } = agent;
    this.#world.operation(`${what} by ${process.name}`);
    await this.#pause("call", 0, 5);
    if (process.dead) return false;
    const deadline = new AbortController();
    const timers = [
      scheduler.after(DEADLINE, () => {
        // Its own limit is before the kubelet's.
        if (!process.dead && activeAgent.agent) {
          trace.violation("limit", `${what}: no answer within the kubelet's time`);
        }
        deadline.abort(new Error("the kubelet gave up"));
      }),
      scheduler.after(DEADLINE + GRACE, () => {
        if (!process.dead) {
          trace.violation("limit", `${what}: it goes on after the kubelet gave up`);
        }
      }),
    ];
    const died = new Promise<undefined>((resolve) => process.onDeath(() => resolve(undefined)));
    const answered = activeAgent[verb](refs, deadline.signal)
      .catch((error) => error as Error)
      .then((answer: Error | Map<string, { readonly error?: string }>) => {
        for (const cancel of timers) cancel();
        if (verb === "unprepare" && !(answer instanceof Error)) {
          for (const { uid } of refs) {
            if (answer.get(uid)?.error === undefined) this.#node.assertDetached(uid);
          }
        }
        return answer;
      });
    const answer = await Promise.race([answered, died]);
    await this.#pause("answer", 0, 5);
    if (answer === undefined) return false;
    if (answer instanceof Error) {
      trace.note(`${what}: ${answer.message}`);
      return false;
    }
    if (verb === "unprepare") {
      for (const [uid, { error }] of answer) {
        const info = this.#infos.get(uid);
        if (info && error === undefined) info.isUnprepared = true;
      }
    }
    const errors = [...answer.values()].flatMap(({ error }) => error ?? []);
    for (const error of errors) trace.note(`${what}: ${error}`);
    if (verb === "prepare" && errors.length === 0) this.#world.assertCurrent(answer, refs, before);
    return errors.length === 0;
  }

  #pause(what: string, least: number, most: number): Promise<void> {
    return this.#world.pause(`${this.#node.name} kubelet ${what}`, least, most);
  }
}

function setPrepared(info: ClaimInfo): void {
  info.isPrepared = true;
  info.isUnprepared = false;
}
