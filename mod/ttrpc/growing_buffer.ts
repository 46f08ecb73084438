/** What is made at once for a message, in bytes; more follows as it comes. */
const FIRST = 4096;

/**
 * Takes a message whose length was announced. Room is made as bytes come and not as they are
 * announced: who announces megabytes and sends nothing shall not be given them.
 */
export class GrowingBuffer {
  readonly #length: number;
  #bytes: Uint8Array;
  #filled = 0;

  constructor(length: number) {
    this.#length = length;
    this.#bytes = new Uint8Array(Math.min(length, FIRST));
  }

  get complete(): boolean {
    return this.#filled === this.#length;
  }

  /** Takes what belongs to the message, and gives the rest. */
  take(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, this.#length - this.#filled);
    const end = this.#filled + part.length;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.#length, Math.max(end, 2 * this.#bytes.length)));
      larger.set(this.#bytes.subarray(0, this.#filled));
      this.#bytes = larger;
    }
    this.#bytes.set(part, this.#filled);
    this.#filled = end;
    return bytes.subarray(part.length);
  }

  /** The message, once it is complete. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }
}
