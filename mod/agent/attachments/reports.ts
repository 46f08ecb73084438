import type { AttachmentView } from "./attachment_view.ts";
import type { EventObject, Sandbox } from "../model.ts";
import type { Events, Log, Traces } from "../ports.ts";
import { describeAttachment, describePod } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/** Tells of one sandbox's networks: the administrator by the log, users by Events. */
export class AttachmentReports {
  readonly #sandbox: Sandbox;
  readonly #log: Log;
  readonly #events: Events;
  readonly #traces: Pick<Traces, "idOf">;

  constructor(
    sandbox: Sandbox,
    { log, events, traces }: {
      readonly log: Log;
      readonly events: Events;
      readonly traces: Pick<Traces, "idOf">;
    },
  ) {
    this.#traces = traces;
    this.#sandbox = sandbox;
    this.#log = log;
    this.#events = events;
  }

  /** @param ms how long it took */
  done(what: "attached" | "repaired" | "detached", entry: AttachmentView, ms: number): void {
    this.#log.info(`${what} ${describeAttachment(entry)}`, { ...this.#about(entry), ms });
  }

  recalled(entry: AttachmentView): void {
    this.#log.info(`${describeAttachment(entry)} is still attached`, this.#about(entry));
  }

  /** A try failed; the entry says why. @param before why the try before it did */
  failed(step: "attach" | "detach", entry: AttachmentView, before: Error | undefined): void {
    const { message: error } = entry.failure!.error;
    const message = `cannot ${step} ${describeAttachment(entry)}`;
    // The same failure again and again is said once.
    const level = error === before?.message ? "debug" : "warn";
    this.#log[level](message, { ...this.#about(entry), error });
    if (step === "detach") return this.#warn("NetworkDetachFailed", `${message}: ${error}`, entry);
    // The claim has the cause in its condition; a pod that went meanwhile needs none.
    if (!entry.wanted) return;
    const about = this.#pod();
    this.#events.warn({ reason: "NetworkAttachFailed", message: `${message}: ${error}`, about });
  }

  notCleanedUp(entry: AttachmentView, cause: unknown): void {
    this.#log.warn(`cannot clean up after the failed attach of ${describeAttachment(entry)}`, {
      ...this.#about(entry),
      error: errorMessage(cause),
    });
  }

  /** Containers of the pod were created without it. */
  late(entry: AttachmentView): void {
    const late = `started without ${describeAttachment(entry)}: attaching it late`;
    this.#log.warn(`containers of ${describePod(this.#sandbox.pod)} ${late}`);
    const message = `containers ${late}`;
    this.#events.warn({ reason: "NetworkAttachedLate", message, about: this.#pod() });
  }

  /** It went although its DEL failed. @returns what was told */
  givenUp(entry: AttachmentView, cause: string): string {
    const message = `gave up detaching ${describeAttachment(entry)}: an address or an interface ` +
      `of it may be left on the node: ${cause}`;
    this.#log.error(message, this.#about(entry));
    this.#warn("NetworkForgotten", message, entry);
    return message;
  }

  /** The pod may be gone by force; the claim is what stays until the DEL has succeeded. */
  #warn(
    reason: "NetworkDetachFailed" | "NetworkForgotten",
    message: string,
    { claim }: AttachmentView,
  ): void {
    for (const about of [this.#pod(), { kind: "ResourceClaim", ...claim } as const]) {
      this.#events.warn({ reason, message, about });
    }
  }

  #pod(): EventObject {
    return { kind: "Pod", ...this.#sandbox.pod };
  }

  #about({ claim }: AttachmentView): Record<string, unknown> {
    const { id, pod } = this.#sandbox;
    const trace = this.#traces.idOf(pod.uid);
    return {
      claim: `${claim.namespace}/${claim.name}`,
      pod: `${pod.namespace}/${pod.name}`,
      sandbox: id,
      ...trace !== undefined && { trace },
    };
  }
}
