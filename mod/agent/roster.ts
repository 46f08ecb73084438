import type { Sandbox } from "./ports.ts";

/** The sandboxes of the node as the runtime has told of them, for an agent that comes to lead later. */
export class Roster {
  #sandboxes = new Map<string, Sandbox>();
  #started = new Set<string>();

  /** Whether the runtime has told all there is. */
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

  runs(sandbox: Sandbox): void {
    this.#sandboxes.set(sandbox.id, sandbox);
  }

  containerCreated(sandboxId: string): void {
    this.#started.add(sandboxId);
  }

  stopped(sandboxId: string): void {
    this.#sandboxes.delete(sandboxId);
    this.#started.delete(sandboxId);
  }
}
