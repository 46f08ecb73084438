import type { Sandbox } from "../model.ts";
import type { AttachmentView } from "./attachment_view.ts";
import type { CurrentOperation } from "./cni_operations.ts";

/** A sandbox and its attachments as they were when someone looked: values that stay as they are. */
export interface SandboxLook {
  readonly sandbox: Sandbox;
  /** From then on attachments only go. */
  readonly stopped: boolean;
  /** Whether containers were created before the agent could keep them waiting. */
  readonly started: boolean;
  readonly work: WorkLook;
  readonly attachments: readonly AttachmentLook[];
}

/** One attachment: what others see of it, and what only people want to know. */
export interface AttachmentLook {
  readonly view: AttachmentView;
  /** When it came to its phase, as far as this run of the agent saw it. */
  readonly since: Date;
  /** Tries that have failed since the last one that did not. */
  readonly tries: number;
}

/** What the worker of a sandbox is at. */
export type WorkLook =
  | { readonly kind: "idle" }
  | { readonly kind: "passing"; readonly operation: CurrentOperation | undefined }
  /** Something failed; it is tried again then. */
  | { readonly kind: "pausing"; readonly until: Date };
