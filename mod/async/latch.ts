import { Notifier } from "./notifier.ts";

/** Something that comes true once, and that others wait for. */
export class Latch {
  readonly #changes = new Notifier();
  #isSet = false;

  get isSet(): boolean {
    return this.#isSet;
  }

  /** Sets it, and wakes all who wait. */
  set(): void {
    this.#isSet = true;
    this.#changes.notify();
  }

  /** Resolves when it is set; rejects with the signal's reason when it is aborted before. */
  async wait(signal: AbortSignal): Promise<void> {
    while (!this.#isSet) await this.#changes.next(signal);
  }
}
