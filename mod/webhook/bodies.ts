/** A body that is longer than the limit. */
export class TooLongError extends Error {
  override readonly name = "TooLongError";
}

/** A body that had to give way to others. */
export class GaveWayError extends Error {
  override readonly name = "GaveWayError";
}

/** Limits of what is held in memory, in bytes. */
export interface BodyLimits {
  /** Of one body. */
  readonly body: number;
  /** Of all that are read at the same time. */
  readonly bodies: number;
}

interface Reading {
  length: number;
  readonly stop: AbortController;
}

/**
 * The bodies of requests. Where those that are read at the same time become too long together, the longest
 * gives way: a body that is sent slowly, or never ends, keeps nobody else from being read.
 */
export class Bodies {
  readonly #limits: BodyLimits;
  readonly #reading = new Set<Reading>();

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** @throws TooLongError, GaveWayError, the signal's reason, or TypeError for what is not UTF-8 */
  async read({ body }: Request, signal: AbortSignal): Promise<string> {
    if (!body) return "";
    const reading: Reading = { length: 0, stop: new AbortController() };
    const stopped = AbortSignal.any([signal, reading.stop.signal]);
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const reader = body.getReader();
    const cancel = () => void reader.cancel(stopped.reason).catch(() => {});
    stopped.addEventListener("abort", cancel, { once: true });
    this.#reading.add(reading);
    let text = "";
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        this.#take(reading, part.value.length);
        stopped.throwIfAborted();
        text += decoder.decode(part.value, { stream: true });
      }
      stopped.throwIfAborted();
      return text + decoder.decode();
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      stopped.removeEventListener("abort", cancel);
      this.#reading.delete(reading);
    }
  }

  /** @throws TooLongError */
  #take(reading: Reading, more: number): void {
    const { body, bodies } = this.#limits;
    reading.length += more;
    if (reading.length > body) throw new TooLongError(`the body is longer than ${body} bytes`);
    while (sum(this.#reading) > bodies) {
      const longest = [...this.#reading].reduce((a, b) => b.length > a.length ? b : a);
      this.#reading.delete(longest);
      longest.stop.abort(
        new GaveWayError("other requests need the memory: this one had the longest body"),
      );
    }
  }
}

function sum(all: Iterable<Reading>): number {
  let total = 0;
  for (const { length } of all) total += length;
  return total;
}
