/**
 * `deno task simulate --ops N --seed S [--workers N]`: the agent under a virtual clock, with all that
 * is around it simulated. `--run SEED` plays one run again and tells all of it; with `--shrink` the
 * shortest one that still fails. `--broken` plays agents that are broken on purpose (`--filter TEXT`:
 * some of them). `--without foreign,handover,…` leaves out what a known fault needs.
 */
import { parseArgs } from "node:util";
import { findBroken } from "./broken.ts";
import { leaveOut, planRun } from "./plan.ts";
import { play } from "./play.ts";
import { shrink } from "./shrink.ts";
import { shownPlan, simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    ops: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    workers: { type: "string", default: "2" },
    run: { type: "string" },
    shrink: { type: "boolean", default: false },
    without: { type: "string", default: "" },
    broken: { type: "boolean", default: false },
    filter: { type: "string", default: "" },
  },
});

const without = values.without.split(",").filter(Boolean);

function write(line: string): void {
  console.log(line);
}

function playOne(runSeed: number): boolean {
  const planned = leaveOut(planRun(runSeed), without);
  const plan = values.shrink ? shrink(planned) : planned;
  write(shownPlan(plan));
  const { digest, violations } = play(plan, (line) => write(line.trimEnd()));
  write(`trace ${digest}, ${violations.length} violations`);
  return violations.length === 0;
}

async function playMany(): Promise<boolean> {
  const [seed, ops, workers] = [values.seed, values.ops, values.workers].map(Number) as [
    number,
    number,
    number,
  ];
  const began = performance.now();
  const { runs, operations, steps, digest, failures } = await simulate({
    seed,
    ops,
    workers,
    without,
    write,
  });
  const seconds = (performance.now() - began) / 1000;
  write(
    `seed ${seed}: ${operations} operations in ${runs} runs, ${steps} steps, ` +
      `${seconds.toFixed(1)} s, ${Math.round(operations / seconds)} operations a second`,
  );
  write(`trace ${digest}`);
  write(`violations: ${failures.length}`);
  return failures.length === 0;
}

const one = values.run;
const [seed, workers] = [Number(values.seed), Number(values.workers)];
if (one !== undefined) {
  // From outside of any microtask.
  setTimeout(() => Deno.exit(playOne(Number(one)) ? 0 : 1), 0);
} else if (values.broken) {
  Deno.exit(await findBroken({ seed, workers, filter: values.filter, write }) ? 0 : 1);
} else Deno.exit(await playMany() ? 0 : 1);
