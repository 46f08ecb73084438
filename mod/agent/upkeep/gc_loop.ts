import type { NetworkList } from "../../claim/network_list.ts";
import { NOT_NEEDED } from "../../async/aborted.ts";
import { pauseAfter } from "../../async/backoff.ts";
import type { Limiter } from "../../async/limiter.ts";
import type { NetworkLocks } from "../attachments/network_locks.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cni, Log, Metrics } from "../ports.ts";
import type { ClaimStore } from "../claims/store.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { errorMessage } from "../../async/error_message.ts";

const INTERVAL = 10 * 60_000;
/** A network that is in use at the moment is tried again after this. */
const AGAIN = 5_000;
/** ADDs of the network wait meanwhile. */
const LIMIT = 10_000;

/** What the GC loop needs outside mod/agent. */
export interface GcLoopPorts {
  readonly cni: Cni;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "collected">;
}

/** The source of the attachments in use, and the locks that separate GC from ADD and DEL. */
export interface GarbageSources {
  readonly sandboxes: Sandboxes;
  readonly claims: ClaimStore;
  readonly limiter: Limiter;
  readonly locks: NetworkLocks;
}

/**
 * GC (CNI SPEC 1.1): tells plugins which attachments there are, so that they free all else that they
 * keep for a network, such as leases of which the records were lost.
 *
 * Plugins know a network by its name alone. Attachments that others made under the same name (the
 * cluster's own network, another driver) are not in our books and would be freed under living pods;
 * that nobody else uses a name cannot be seen from here, and claims choose names freely. So only
 * networks are collected of which the administrator says that they are this driver's alone.
 */
export class GcLoop {
  readonly #ports: GcLoopPorts;
  readonly #sources: GarbageSources;
  readonly #problems = new Map<string, string>();

  constructor(ports: GcLoopPorts, sources: GarbageSources) {
    this.#ports = ports;
    this.#sources = sources;
  }

  /** At once and every ten minutes, until the signal is aborted. */
  async run(networks: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    let left = [...networks];
    while (!signal.aborted && networks.length > 0) {
      const busy: string[] = [];
      for (const network of left) {
        if (!await this.#collect(network, signal)) busy.push(network);
      }
      left = busy.length > 0 ? busy : [...networks];
      const pause = busy.length > 0 ? AGAIN : INTERVAL;
      const ms = pauseAfter(1, { first: pause, most: pause });
      await clock.sleep(ms, signal).catch(() => {});
    }
  }

  /** @returns false when the network is in use at the moment */
  async #collect(name: string, signal: AbortSignal): Promise<boolean> {
    const { cni, clock, log, metrics } = this.#ports;
    const { limiter, locks } = this.#sources;
    const over = new AbortController();
    // Cut off, it is done again: it frees what it finds, as far as it comes.
    const until = AbortSignal.any([signal, over.signal]);
    try {
      return await limiter.runAside(() =>
        locks.collect(name, async () => {
          // From here on no ADD or DEL of the network begins: the list is whole.
          const { lists, valid } = this.#look(name);
          const timer = new AbortController();
          clock.sleep(LIMIT, timer.signal).then(() => over.abort(new Error("late")), () => {});
          try {
            for (const list of lists) {
              if (await cni.gc(list, { valid, signal: until })) metrics.collected("ok");
            }
            this.#problems.delete(name);
          } finally {
            timer.abort(NOT_NEEDED);
          }
        }), signal);
    } catch (error) {
      if (signal.aborted) return true;
      metrics.collected("error");
      const problem = errorMessage(error);
      log[this.#problems.get(name) === problem ? "debug" : "warn"](
        `cannot collect the leftovers of network ${JSON.stringify(name)}`,
        { error: problem },
      );
      this.#problems.set(name, problem);
      return true;
    }
  }

  /** The network's configurations, and all that is attached by its name or may be. */
  #look(name: string) {
    const entries = this.#sources.sandboxes.all()
      .flatMap(({ sandbox, entries }) => entries.map((entry) => ({ sandbox, entry })))
      .filter(({ entry }) => entry.attachment.network.name === name);
    const prepared = this.#sources.claims.all().flatMap(({ attachments }) => attachments);
    const lists = new Map<string, NetworkList>();
    for (const { network } of [...prepared, ...entries.map(({ entry }) => entry.attachment)]) {
      if (network.name === name) lists.set(JSON.stringify(network), network);
    }
    return {
      lists: [...lists.values()],
      // Even attachments that nothing reports: an agent whose records were lost may have created them.
      valid: entries.map(({ sandbox, entry }) => ({
        containerID: sandbox.id,
        ifname: entry.attachment.ifName,
      })),
    };
  }
}
