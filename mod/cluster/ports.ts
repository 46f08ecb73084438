import type { Unread } from "./objects.ts";

/** A page of a list, as the API server gives it. */
export interface Page {
  readonly items: readonly unknown[];
  /** From which a watch goes on. */
  readonly resourceVersion: string;
}

/** What a watch says, in the order in which it happened. */
export type WatchChange =
  /** It has begun. */
  | { readonly type: "begun" }
  /** An object is new or has changed. */
  | { readonly type: "set"; readonly object: unknown }
  | { readonly type: "deleted"; readonly object: unknown }
  /** Nothing has changed up to this version. */
  | { readonly type: "bookmark"; readonly resourceVersion: string }
  /** The version is too old: all must be listed again. */
  | { readonly type: "expired" };

/** The API server, as it is read. Every wait has a limit. */
export interface ObjectSource {
  /**
   * The pages of a list.
   *
   * @param path with its query, as `listPath` gives it
   * @throws ReadError
   */
  list(path: string, signal: AbortSignal): AsyncIterable<Page>;
  /**
   * What changes after a version, until the API server ends the watch, which it does every few
   * minutes.
   *
   * @throws ReadError
   */
  watch(
    path: string,
    options: { readonly resourceVersion: string; readonly signal: AbortSignal },
  ): AsyncIterable<WatchChange>;
}

/** Where a program is run. */
export interface ExecPlace {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** What a program in a container printed, and its exit code. */
export interface ExecOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs programs in containers, as `kubectl exec` does. */
export interface PodExec {
  /**
   * Waits for a program to end.
   *
   * @throws ReadError that says why it could not be run, or did not end in time
   */
  exec(place: ExecPlace, command: readonly string[], signal: AbortSignal): Promise<ExecOutcome>;
}

/** Why the API server could not be read: a cause that can be acted on, and a sentence. */
export class ReadError extends Error {
  override readonly name = "ReadError";
  readonly reason: Unread["cause"];

  constructor(reason: Unread["cause"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** That the API server did not answer: why, and what its user can do. @param problem such as `no answer from URL: timed out` */
export function unanswered(problem: string, options?: ErrorOptions): ReadError {
  // What answers something else is told apart from a server that is silent.
  const isSilent = problem.startsWith("no answer from ");
  const isLate = /timed out/.test(problem);
  const advice = "; see whether the API server runs and can be reached from here" +
    (isLate ? ", or let it take longer with --request-timeout" : "");
  return new ReadError("unanswered", isSilent ? problem + advice : problem, options);
}
