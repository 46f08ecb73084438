import type { Notifier } from "../../async/notifier.ts";
import { describeAttachment, describePod } from "../describe.ts";
import type { Sandbox } from "../model.ts";
import type { AttachmentView } from "./attachment_view.ts";

/**
 * How many CreateContainer calls may use up their whole time waiting for one sandbox. The runtime
 * handles the events of all pods one at a time, so a network that hangs must not hold it again and
 * again; a slow one (DHCP, IPv6 duplicate address detection) is there by then.
 */
const MOST_TIMED_OUT_CALLS = 3;

/** What the gate must know of the sandbox. */
export interface ReadyGateSource {
  readonly sandbox: Sandbox;
  readonly entries: readonly AttachmentView[];
  readonly stopped: boolean;
  /** How many times all that was to be done has been tried. */
  readonly passes: number;
  /** Ends the pause before the next try. */
  tryNow(): void;
}

/** Where CreateContainer waits until all wanted networks of the sandbox are there. */
export class ReadyGate {
  readonly #source: ReadyGateSource;
  readonly #changes: Notifier;
  #timedOut = 0;
  /** Calls that wait: meanwhile the runtime handles no event of any pod. */
  #waiting = 0;

  constructor(source: ReadyGateSource, changes: Notifier) {
    this.#source = source;
    this.#changes = changes;
  }

  get isWaitedAt(): boolean {
    return this.#waiting > 0;
  }

  /**
   * Resolves when every wanted attachment is there. Rejects with the cause when a try has failed,
   * and when the signal is aborted first.
   */
  async pass(signal: AbortSignal): Promise<void> {
    this.#waiting++;
    try {
      await this.#awaitReady(signal);
    } finally {
      this.#waiting--;
    }
  }

  async #awaitReady(signal: AbortSignal): Promise<void> {
    const source = this.#source;
    const { sandbox, passes } = source;
    // A failed try is repeated now rather than at the end of its pause: someone is waiting.
    source.tryNow();
    while (!source.stopped) {
      const missing = source.entries.filter(({ wanted, ready }) => wanted && !ready);
      const [first] = missing;
      if (!first) return;
      const failed = missing.find(({ failure }) => failure);
      if (failed && source.passes > passes) throw notReady(failed);
      if (this.#timedOut >= MOST_TIMED_OUT_CALLS) throw notReady(failed ?? first);
      try {
        await this.#changes.next(signal);
      } catch {
        this.#timedOut++;
        throw notReady(failed ?? first);
      }
    }
    throw new Error(`sandbox ${sandbox.id} of ${describePod(sandbox.pod)} has stopped`);
  }
}

function notReady(entry: AttachmentView): Error {
  const error = entry.failure?.error;
  const cause = error?.message ?? "still being attached";
  return new Error(`${describeAttachment(entry)} is not ready: ${cause}`, { cause: error });
}
