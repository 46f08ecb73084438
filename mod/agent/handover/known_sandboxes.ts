import type { Sandbox } from "../model.ts";

/** A node has hundreds of pods; a runtime that reports more and more has lost count. */
const MOST_SANDBOXES = 16_384;

/** Ids of sandboxes, by what the runtime lists of their containers when it synchronizes. */
export interface ListedContainers {
  /** In which one runs, or may have run without its networks. */
  readonly started: ReadonlySet<string>;
  /** In which one was created and has not started yet. */
  readonly created: ReadonlySet<string>;
}

/** The sandboxes that the runtime has reported, for an agent that leads later. */
export class KnownSandboxes {
  #sandboxes = new Map<string, Sandbox>();
  #started = new Set<string>();

  /** Whether the runtime has listed all sandboxes, and has been connected since. */
  synchronized = false;

  get sandboxes(): Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  /**
   * Ids of the sandboxes in which containers were created, and may run by now: of their starts nobody
   * tells.
   */
  get started(): ReadonlySet<string> {
    return this.#started;
  }

  /** Those that a runtime may leave out when another agent connects. */
  get starting(): Sandbox[] {
    return this.sandboxes.filter(({ id }) => !this.#started.has(id));
  }

  has(sandboxId: string): boolean {
    return this.#sandboxes.has(sandboxId);
  }

  synchronize(sandboxes: readonly Sandbox[], { started, created }: ListedContainers): void {
    this.#sandboxes = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
    this.#started = started.union(created);
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
