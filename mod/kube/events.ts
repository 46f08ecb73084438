import type { Clock } from "../async/clock.ts";
import type { EventObject, WarningEvent } from "../agent/model.ts";
import type { Events, Log } from "../agent/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { RESOURCE_API } from "./resource_api.ts";
import { errorMessage } from "../async/error_message.ts";
import { WarnOnce } from "../async/warn_once.ts";

/** The same event within this time raises the count of the first. */
const WINDOW_MS = 600_000;
/** A rising count is written after this time, and then after twice as long each time. */
const FIRST_INTERVAL_MS = 15_000;
const LONGEST_INTERVAL_MS = 300_000;
/** What one object gets within the window: a message that is another each time must not flood the cluster. */
const PER_OBJECT = 10;
/** Events that are remembered; beyond it the one that was longest not seen is forgotten. */
const REMEMBERED = 500;
/** What the API server is tried for one write, and the pause after a try. */
const TRIES = 3;
const PAUSE_MS = 1_000;
/** What the API server takes as a message (events.k8s.io/v1). */
const MESSAGE_LIMIT = 1024;

const API_VERSIONS = { Pod: "v1", ResourceClaim: RESOURCE_API } as const;

export interface KubeEventsOptions {
  /** Who says it: the driver. */
  readonly component: string;
  /** The node's name. */
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The trace that tells of a pod, where there is one. */
  readonly traceOf?: (podUid: string) => string | undefined;
}

/**
 * Events of the core group, which keeps their count where `kubectl get events` and `describe` read
 * it. The agent needs to create and to patch events, nothing more: it remembers what it wrote, and
 * never reads or lists (events.k8s.io/v1 would take the same two verbs, in another group).
 *
 * Written one after the other beside everything else; what cannot be written is dropped.
 */
export class KubeEvents implements Events {
  readonly #connection: KubeConnection;
  readonly #options: KubeEventsOptions;
  readonly #problem: WarnOnce;
  readonly #stop = new AbortController();
  /** By object, reason and message; the most recent one is last. */
  readonly #known = new Map<string, Known>();
  #writer: Promise<void> | undefined;

  constructor(connection: KubeConnection, options: KubeEventsOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#problem = new WarnOnce(options.log);
  }

  warn(event: WarningEvent): void {
    if (this.#stop.signal.aborted) return;
    const now = this.#options.clock.now().getTime();
    const key = JSON.stringify([event.about.kind, event.about.uid, event.reason, event.message]);
    let known = this.#known.get(key);
    if (known && now - known.last >= WINDOW_MS) known = undefined;
    if (!known) {
      this.#known.delete(key);
      if (this.#countOf(event.about, now) >= PER_OBJECT) return;
      known = {
        event,
        name: nameOf(event.about),
        first: now,
        last: now,
        count: 0,
        written: 0,
        dueAt: now,
        interval: FIRST_INTERVAL_MS,
      };
    }
    known.count++;
    known.last = now;
    this.#known.delete(key);
    this.#known.set(key, known);
    for (const [oldest, { event, count, written }] of this.#known) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
      if (count > written) this.#sayDropped(event, "too many others came since");
    }
    this.#writer ??= this.#write();
  }

  /** Ends all writing. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await this.#writer;
  }

  #countOf({ uid }: EventObject, now: number): number {
    return [...this.#known.values()]
      .filter(({ event, last }) => event.about.uid === uid && now - last < WINDOW_MS).length;
  }

  /** Until everything is written: new events at once, higher counts after a while. */
  async #write(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    // The agent continues before any request is made.
    await Promise.resolve();
    while (!signal.aborted) {
      const due = [...this.#known.values()].filter(({ count, written }) => count > written);
      if (due.length === 0) {
        // At once: an event that comes next must find that nobody writes.
        this.#writer = undefined;
        return;
      }
      const now = clock.now().getTime();
      const next = due.find(({ dueAt }) => dueAt <= now);
      if (next) await this.#bring(next);
      // New events may come meanwhile; they are not kept waiting for long.
      else await clock.sleep(PAUSE_MS, signal).catch(() => {});
    }
  }

  async #bring(known: Known): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    known.dueAt = clock.now().getTime() + known.interval;
    known.interval = Math.min(LONGEST_INTERVAL_MS, 2 * known.interval);
    for (let tries = 1; !signal.aborted; tries++) {
      const { count } = known;
      try {
        await (known.written === 0 ? this.#create(known) : this.#raise(known));
        known.written = count;
        this.#problem.over();
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (tries < TRIES && mayPass(error)) {
          await clock.sleep(PAUSE_MS * tries, signal).catch(() => {});
          continue;
        }
        this.#sayDropped(known.event, errorMessage(error));
        known.written = count;
        return;
      }
    }
  }

  #sayDropped({ reason, about }: WarningEvent, error: string): void {
    this.#problem.say(
      `cannot write an event (${reason}) of the ${about.kind} ${about.namespace}/${about.name}`,
      { error },
    );
  }

  async #create({ event, name, first, last, count }: Known): Promise<void> {
    const { component, host } = this.#options;
    const { reason, about: { kind, ...object } } = event;
    const trace = kind === "Pod" ? this.#options.traceOf?.(object.uid) : undefined;
    const body = {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name,
        namespace: object.namespace,
        ...trace !== undefined && { annotations: { [`${component}/trace-id`]: trace } },
      },
      involvedObject: { apiVersion: API_VERSIONS[kind], kind, ...object },
      reason,
      message: shortened(event.message),
      type: "Warning",
      count,
      firstTimestamp: timestamp(first),
      lastTimestamp: timestamp(last),
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host,
    };
    try {
      await this.#request({ method: "POST", path: eventsPath(object.namespace), body });
    } catch (error) {
      // A try that was given up had come through.
      if (!(error instanceof KubeError && error.status === 409)) throw error;
    }
  }

  async #raise(known: Known): Promise<void> {
    const { event, name, last, count } = known;
    try {
      await this.#request({
        method: "PATCH",
        path: `${eventsPath(event.about.namespace)}/${encodeURIComponent(name)}`,
        contentType: "application/merge-patch+json",
        body: { count, lastTimestamp: timestamp(last) },
      });
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 404)) throw error;
      // The cluster keeps events for an hour only, or less.
      await this.#create(known);
    }
  }

  async #request(
    request: {
      readonly method: "POST" | "PATCH";
      readonly path: string;
      readonly contentType?: string;
      readonly body: unknown;
    },
  ): Promise<void> {
    await this.#connection.request({ ...request, signal: this.#stop.signal });
  }
}

interface Known {
  readonly event: WarningEvent;
  /** The name of the Event object. */
  readonly name: string;
  readonly first: number;
  last: number;
  count: number;
  /** The count up to which it is written, or was given up. */
  written: number;
  /** When it may be written next, and how long after that again. */
  dueAt: number;
  interval: number;
}

function eventsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}

/** The object's name with a unique suffix, within the limits of names. */
function nameOf({ name }: EventObject): string {
  const start = name.slice(0, 230).replace(/[^a-z0-9]+$/, "");
  return `${start}.${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
}

/** The cause is at the end of some messages and at the beginning of others, so both ends are kept. */
function shortened(message: string): string {
  if (message.length <= MESSAGE_LIMIT) return message;
  const half = Math.floor(MESSAGE_LIMIT / 2) - 1;
  return `${message.slice(0, half)}…${message.slice(-half)}`;
}

function timestamp(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Whether the same request may be answered otherwise a little later. */
function mayPass(error: unknown): boolean {
  const { status } = error as Partial<KubeError>;
  return status === undefined || status === 429 || status >= 500;
}
