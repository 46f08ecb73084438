import { NOT_NEEDED } from "./aborted.ts";
import type { Clock } from "./clock.ts";

/** A signal that is aborted when the time is over; disposed of, it keeps no timer. */
export interface TimeLimit extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Bounds what is to be done by time, and by a signal where one is given: whichever comes first.
 *
 * @param ms how long it may take, in milliseconds
 */
export function timeLimit(clock: Clock, ms: number, signal?: AbortSignal): TimeLimit {
  const over = new AbortController();
  const timer = new AbortController();
  clock.sleep(ms, timer.signal).then(
    () => over.abort(new Error(`it took longer than ${ms / 1000} s`)),
    () => {},
  );
  return {
    signal: signal ? AbortSignal.any([signal, over.signal]) : over.signal,
    [Symbol.dispose]: () => timer.abort(NOT_NEEDED),
  };
}
