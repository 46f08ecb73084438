/** Seconds since the machine started: a clock that other processes read too. */
export function uptime(): number {
  return Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
}
