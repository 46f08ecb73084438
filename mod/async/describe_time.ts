/**
 * How long something took or lasts, for people.
 *
 * @param ms milliseconds
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { describeTime } from "./describe_time.ts";
 *
 * const said = [45_000, 130_000, 11_100_000, 270_000_000].map(describeTime);
 * assert.deepEqual(said, ["45s", "2m10s", "3h5m", "3d3h"]);
 * ```
 */
export function describeTime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  if (days > 0) return `${days}d${hours}h`;
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
