import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import { type AttachmentEvent, type AttachmentState, transition } from "./attachment_state.ts";
import { type AttachmentView, viewOf } from "./attachment_view.ts";

/** One attachment of a sandbox, wanted or on its way out. The worker of its sandbox owns it. */
export class TrackedAttachment {
  readonly claim: ClaimRef;
  readonly attachment: Attachment;
  #state: AttachmentState;
  #view: AttachmentView | undefined;
  /** Told what may be left on the node when it is given up. */
  tellLeft?: (left: string) => void;
  /** Whether it has been said that it comes after the containers. */
  lateAttachReported: boolean;

  constructor(
    { claim, attachment, state, lateAttachReported = false }: {
      readonly claim: ClaimRef;
      readonly attachment: Attachment;
      readonly state: AttachmentState;
      readonly lateAttachReported?: boolean;
    },
  ) {
    this.claim = claim;
    this.attachment = attachment;
    this.#state = state;
    this.lateAttachReported = lateAttachReported;
  }

  get state(): AttachmentState {
    return this.#state;
  }

  /** What others see of it. The same object until something happens to it. */
  get view(): AttachmentView {
    return this.#view ??= viewOf(this);
  }

  apply(event: AttachmentEvent): void {
    this.#state = transition(this.#state, event);
    this.#view = undefined;
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
