import type { Sandbox } from "../model.ts";

/** A node has hundreds of pods; a runtime that tells of more and more has lost count. */
const MOST_SANDBOXES = 16_384;

/** The sandboxes of the node as the runtime has told of them, for an agent that comes to lead later. */
export class KnownSandboxes {
  #sandboxes = new Map<string, Sandbox>();
  #started = new Set<string>();

  /** Whether the runtime has told all there is, and is connected since. */
  synchronized = false;

  get sandboxes(): Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  /** Ids of the sandboxes in which containers were created. */
  get started(): ReadonlySet<string> {
    return this.#started;
  }

  synchronize(sandboxes: readonly Sandbox[], started: ReadonlySet<string>): void {
    this.#sandboxes = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
    this.#started = new Set(started);
    this.synchronized = true;
  }

  /** @throws Error when there are too many: to forget one would be to detach it */
  runs(sandbox: Sandbox): void {
    if (this.#sandboxes.size >= MOST_SANDBOXES && !this.#sandboxes.has(sandbox.id)) {
      throw new Error(
        `the container runtime has reported ${MOST_SANDBOXES} sandboxes that have not stopped`,
      );
    }
    this.#sandboxes.set(sandbox.id, sandbox);
  }

  /**
   * A container is created in it. CRI-O tells a plugin that connects while the sandbox starts neither
   * of its start nor lists it.
   */
  lives(sandbox: Sandbox): void {
    if (!this.#sandboxes.has(sandbox.id)) this.runs(sandbox);
  }

  containerCreated(sandboxId: string): void {
    if (this.#sandboxes.has(sandboxId)) this.#started.add(sandboxId);
  }

  stopped(sandboxId: string): void {
    this.#sandboxes.delete(sandboxId);
    this.#started.delete(sandboxId);
  }
}
