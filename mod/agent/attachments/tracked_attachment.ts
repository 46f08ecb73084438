import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import type { AttachmentRecord } from "../model.ts";
import {
  type AttachmentEvent,
  type AttachmentState,
  phaseOf,
  transition,
} from "./attachment_state.ts";
import { type AttachmentView, viewOf } from "./attachment_view.ts";

/** One attachment of a sandbox, wanted or on its way out. The worker of its sandbox owns it. */
export class TrackedAttachment {
  readonly claim: ClaimRef;
  readonly attachment: Attachment;
  readonly #now: () => Date;
  #state: AttachmentState;
  #view: AttachmentView | undefined;
  #since: Date;
  #tries = 0;
  /** The record of the ADD to come, or of that which has begun last; also that of an earlier run. */
  intent: AttachmentRecord | undefined;
  /** Told what may be left on the node when it is given up. */
  tellLeft?: (left: string) => void;
  /** Whether it has been said that it comes after the containers. */
  lateAttachReported: boolean;

  constructor(
    { claim, attachment, state, now, lateAttachReported = false }: {
      readonly claim: ClaimRef;
      readonly attachment: Attachment;
      readonly state: AttachmentState;
      readonly now: () => Date;
      readonly lateAttachReported?: boolean;
    },
  ) {
    this.claim = claim;
    this.attachment = attachment;
    this.#state = state;
    this.#now = now;
    this.#since = now();
    this.lateAttachReported = lateAttachReported;
  }

  get state(): AttachmentState {
    return this.#state;
  }

  /** What others see of it. The same object until something happens to it. */
  get view(): AttachmentView {
    return this.#view ??= viewOf(this);
  }

  /** When it came to its phase, as far as this run of the agent saw it. */
  get since(): Date {
    return this.#since;
  }

  /** Tries that have failed since the last one that did not. */
  get tries(): number {
    return this.#tries;
  }

  apply(event: AttachmentEvent): void {
    const before = phaseOf(this.#state);
    this.#state = transition(this.#state, event);
    this.#view = undefined;
    if (phaseOf(this.#state) !== before) this.#since = this.#now();
    if (this.#state.failure === undefined) this.#tries = 0;
    else if (event.kind === "try_failed") this.#tries++;
  }

  get isWanted(): boolean {
    return this.#state.desired.kind === "present";
  }

  get isRepair(): boolean {
    const { situation } = this.#state;
    return situation.kind === "repairing" ||
      "purpose" in situation && situation.purpose === "repair";
  }
}
