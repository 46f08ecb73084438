import { exclusiveDevice } from "../../claim/exclusive_device.ts";
import type { ClaimRecord } from "../model.ts";
import type { Journal } from "../ports.ts";

/**
 * The claims that Prepare accepted, in memory and in the journal, found by UID and by pod. Whoever
 * changes or removes a record holds the claim's lock, and looks at the record again under it.
 */
export class ClaimStore {
  readonly #journal: Journal;
  /** What the journal is asked for and has not answered. */
  readonly #changes = new Set<Promise<void>>();
  readonly #records = new Map<string, ClaimRecord>();
  readonly #byPod = new Map<string, Set<string>>();
  readonly #shareable = new Map<string, Set<string>>();
  /** Those that take an interface away from the node: few. */
  readonly #exclusiveHolders = new Set<string>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get(claimUid: string): ClaimRecord | undefined {
    return this.#records.get(claimUid);
  }

  all(): ClaimRecord[] {
    return [...this.#records.values()];
  }

  /** The claims reserved for a pod, in the order they were prepared. */
  ofPod(podUid: string): ClaimRecord[] {
    return [...this.#byPod.get(podUid) ?? []].map((uid) => this.#records.get(uid)!);
  }

  /** Those that take an interface away from the node. */
  exclusiveHolders(): ClaimRecord[] {
    return [...this.#exclusiveHolders].map((uid) => this.#records.get(uid)!);
  }

  /**
   * Claims of a namespace that more of its pods can come to use: the kubelet prepares a claim once,
   * not again for a second pod.
   */
  shareableIn(namespace: string): ClaimRecord[] {
    return [...this.#shareable.get(namespace) ?? []].map((uid) => this.#records.get(uid)!);
  }

  /** Takes up a record that is on disk already. */
  restore(record: ClaimRecord): void {
    this.#unindex(record.claim.uid);
    const { uid, namespace } = record.claim;
    this.#records.set(uid, record);
    for (const pod of record.pods) add(this.#byPod, pod.uid, uid);
    if (record.shareable) add(this.#shareable, namespace, uid);
    if (record.attachments.some((each) => exclusiveDevice(each) !== undefined)) {
      this.#exclusiveHolders.add(uid);
    }
  }

  /** Known at once, durable when resolved; when that fails, as before. */
  async put(record: ClaimRecord): Promise<void> {
    const before = this.#records.get(record.claim.uid);
    this.restore(record);
    try {
      await this.#follow(this.#journal.putClaim(record));
    } catch (error) {
      // What took its place meanwhile stays, and what went meanwhile does not come back.
      if (this.#records.get(record.claim.uid) === record) {
        this.#unindex(record.claim.uid);
        if (before) this.restore(before);
      }
      throw error;
    }
  }

  async remove(claimUid: string): Promise<void> {
    // A claim that was made for one pod is asked for by no other.
    const departs = this.#records.get(claimUid)?.shareable ?? false;
    await this.#follow(this.#journal.removeClaim(claimUid, { departs }));
    this.#unindex(claimUid);
  }

  /** Resolves when the journal has answered all that it was asked for. */
  async settled(): Promise<void> {
    while (this.#changes.size > 0) await Promise.allSettled(this.#changes);
  }

  async #follow(change: Promise<void>): Promise<void> {
    this.#changes.add(change);
    try {
      await change;
    } finally {
      this.#changes.delete(change);
    }
  }

  #unindex(claimUid: string): void {
    const record = this.#records.get(claimUid);
    if (!record) return;
    this.#records.delete(claimUid);
    for (const pod of record.pods) drop(this.#byPod, pod.uid, claimUid);
    drop(this.#shareable, record.claim.namespace, claimUid);
    this.#exclusiveHolders.delete(claimUid);
  }
}

function add(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key);
  if (values) values.add(value);
  else index.set(key, new Set([value]));
}

function drop(index: Map<string, Set<string>>, key: string, value: string): void {
  const values = index.get(key);
  values?.delete(value);
  if (values?.size === 0) index.delete(key);
}
