import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import { FreshReads } from "../../async/fresh_reads.ts";
import { Limiter } from "../../async/limiter.ts";
import type { ClaimRecord, PodRef, Sandbox } from "../model.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cluster, Log } from "../ports.ts";
import type { ClaimStore } from "./store.ts";
import { describeClaim, describePod } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { ClaimRef } from "../../claim/attachment.ts";
import { claimRef, podsOf } from "../../claim/plan.ts";

const RETRY: Backoff = { first: 200, most: 10_000 };
/** Pods and claims that are read at once. */
const WIDTH = 8;

/** Sandboxes and pods that are remembered: a node has hundreds. */
const MOST_LOOKS = 4096;

/**
 * Finds out which claims a new sandbox's pod shares with pods that came before it.
 *
 * The kubelet prepares a claim once and says nothing when a second pod comes to use it. So where a
 * shareable claim is prepared in a pod's namespace, the pod is read, and of each such claim that it
 * names, `status.reservedFor`; containers wait until that is known. Pods elsewhere cost nothing, and
 * pods that come at once share the reads of a claim.
 */
export class SharedClaims {
  readonly #ports: { readonly cluster: Cluster; readonly clock: Clock; readonly log: Log };
  readonly #claims: ClaimStore;
  readonly #looks = new Map<string, Look>();
  /** The names of the claims of the pods that were read last, by the pod's UID: they never change. */
  readonly #names = new Map<string, readonly string[]>();
  readonly #limiter = new Limiter(WIDTH);
  readonly #reads = new FreshReads<ClaimRecord | undefined>(this.#limiter);
  readonly #stop = new AbortController();

  constructor(
    ports: { readonly cluster: Cluster; readonly clock: Clock; readonly log: Log },
    claims: ClaimStore,
  ) {
    this.#ports = ports;
    this.#claims = claims;
  }

  /** Begins to look, once a sandbox; `found` is called for each claim that the pod turns out to share. */
  look(sandbox: Sandbox, found: (record: ClaimRecord) => void): void {
    if (this.#looks.has(sandbox.id)) return;
    const { pod } = sandbox;
    const candidate = this.#claims.shareableIn(pod.namespace).find((each) => !isFor(each, pod));
    if (!candidate) return;
    if (this.#looks.size >= MOST_LOOKS) {
      throw new Error(`${MOST_LOOKS} sandboxes may share claims already, and none has stopped`);
    }
    const stop = new AbortController();
    const look: Look = { stop, done: Promise.resolve(), waitsFor: describeClaim(candidate.claim) };
    look.done = this.#read(sandbox, look, found);
    this.#looks.set(sandbox.id, look);
  }

  /**
   * Puts the pod on the record of each claim that it shares, before it has a sandbox.
   *
   * @throws Error when that cannot be told
   */
  async learn(pod: PodRef, signal: AbortSignal): Promise<void> {
    if (this.#claims.shareableIn(pod.namespace).every((each) => isFor(each, pod))) return;
    try {
      await this.#compareAll(pod, signal, () => {});
    } catch (error) {
      throw new Error(
        `cannot tell which claims ${describePod(pod)} shares: ${errorMessage(error)}`,
      );
    }
  }

  /** Resolves when it is known which claims the sandbox's pod shares. */
  async known(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    const look = this.#looks.get(sandbox.id);
    if (!look) return;
    let abort = () => {};
    const aborted = new Promise<"aborted">((resolve) => {
      abort = () => resolve("aborted");
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
    });
    const outcome = await Promise.race([look.done, aborted]);
    signal.removeEventListener("abort", abort);
    if (outcome === "aborted") {
      throw new Error(
        `cannot tell yet whether ${describePod(sandbox.pod)} uses ${look.waitsFor}`,
      );
    }
  }

  forget(sandboxId: string): void {
    this.#looks.get(sandboxId)?.stop.abort();
    this.#looks.delete(sandboxId);
  }

  /** Forgets all sandboxes but these. */
  forgetOthers(sandboxIds: ReadonlySet<string>): void {
    for (const id of [...this.#looks.keys()]) if (!sandboxIds.has(id)) this.forget(id);
  }

  close(): void {
    this.#stop.abort(new Error("the agent stops"));
    this.forgetOthers(new Set());
  }

  async #read(
    { pod }: Sandbox,
    look: Look,
    found: (record: ClaimRecord) => void,
  ): Promise<void> {
    const { clock, log } = this.#ports;
    const { signal } = look.stop;
    for (let failures = 1;; failures++) {
      try {
        return await this.#compareAll(pod, signal, found);
      } catch (error) {
        const [first] = this.#claims.shareableIn(pod.namespace);
        if (signal.aborted || !first) return;
        const claim = describeClaim(first.claim);
        look.waitsFor = `${claim}: ${errorMessage(error)}`;
        log[failures === 1 ? "warn" : "debug"](
          `cannot tell yet whether ${describePod(pod)} uses ${claim}`,
          { error: errorMessage(error) },
        );
      }
      await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
      if (signal.aborted) return;
    }
  }

  async #compareAll(
    pod: PodRef,
    signal: AbortSignal,
    found: (record: ClaimRecord) => void,
  ): Promise<void> {
    const names = await this.#namesOf(pod, signal);
    // Those among them on whose record others' reads have put the pod meanwhile.
    const named = this.#claims.shareableIn(pod.namespace).filter(({ claim }) =>
      names.includes(claim.name)
    );
    await Promise.all(named.map((record) => this.#compare(record, { pod, signal, found })));
  }

  async #namesOf(pod: PodRef, signal: AbortSignal): Promise<readonly string[]> {
    const known = this.#names.get(pod.uid);
    if (known) return known;
    const names = await this.#limiter.run(() => this.#ports.cluster.getClaimNames(pod, signal));
    this.#names.set(pod.uid, names);
    const [oldest] = this.#names.keys();
    if (this.#names.size > MOST_LOOKS) this.#names.delete(oldest!);
    return names;
  }

  async #compare(
    known: ClaimRecord,
    { pod, signal, found }: {
      readonly pod: PodRef;
      readonly signal: AbortSignal;
      readonly found: (record: ClaimRecord) => void;
    },
  ): Promise<void> {
    const { claim } = known;
    const record = isFor(known, pod)
      ? known
      : await this.#reads.read(claim.uid, () => this.#update(claim));
    if (!signal.aborted && record && isFor(record, pod)) found(record);
  }

  /**
   * Takes up what the API server says of the pods that use a claim.
   *
   * @returns what is on record then; undefined for a claim that is gone
   */
  async #update({ namespace, name, uid }: ClaimRef): Promise<ClaimRecord | undefined> {
    const current = await this.#ports.cluster.getClaim({ namespace, name }, this.#stop.signal);
    const record = this.#claims.get(uid);
    // Another one may have been made by its name.
    if (!record || !current || claimRef(current).uid !== uid) return undefined;
    const pods = podsOf(current);
    const known = new Set(record.pods.map((pod) => pod.uid));
    if (pods.some((pod) => !known.has(pod.uid))) await this.#claims.put({ ...record, pods });
    return this.#claims.get(uid);
  }
}

function isFor({ pods }: ClaimRecord, { uid }: PodRef): boolean {
  return pods.some((pod) => pod.uid === uid);
}

interface Look {
  readonly stop: AbortController;
  done: Promise<void>;
  /** What it waits for, in words. */
  waitsFor: string;
}
