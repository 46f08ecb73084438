/**
 * The watchdog: runs one target's inputs in a thread and looks at it from another. Ends with a line
 * of JSON. Arguments: the module of the targets, target, seed, first input, how many, folder.
 */
import process from "node:process";
import type { Found, Order, Report } from "./worker.ts";

/** The most processor time for one input, in milliseconds: the machine may be busy. */
const CPU_LIMIT = 1_000;
/** Nor does it wait for longer than this. */
const WALL_LIMIT = 10_000;
/** What the whole process may hold, in bytes. */
const MEMORY_LIMIT = 512 * 1024 * 1024;
const LOOK = 50;

export interface Outcome {
  readonly done: number;
  readonly found: readonly Found[];
  /** The longest that an input was seen to run, in milliseconds of the processor. */
  readonly slowest: number;
  /** The most memory that was seen, in bytes. */
  readonly memory: number;
}

const [module = "", target = "", seed, first, inputs, folder = ""] = Deno.args;
const shared = new SharedArrayBuffer(4);
const progress = new Int32Array(shared).fill(-1);
const order: Order = {
  module,
  target,
  seed: Number(seed),
  first: Number(first),
  inputs: Number(inputs),
  folder,
  progress: shared,
};
const found: Found[] = [];
let slowest = 0;
let memory = 0;
let running = { index: -1, since: 0, cpu: 0 };

function finish(done: number): never {
  const outcome: Outcome = { done, found, slowest: Math.round(slowest), memory };
  console.log(JSON.stringify(outcome));
  Deno.exit(0);
}

function look(): void {
  memory = Math.max(memory, Deno.memoryUsage().rss);
  const index = Atomics.load(progress, 0);
  const { user, system } = process.cpuUsage();
  const cpu = (user + system) / 1000;
  if (index !== running.index) {
    running = { index, since: performance.now(), cpu };
    if (memory > MEMORY_LIMIT) stuck(`the process holds ${memory} bytes`);
    return;
  }
  // The code is being loaded, or an input is being made.
  if (index < 0) return;
  slowest = Math.max(slowest, cpu - running.cpu);
  if (memory > MEMORY_LIMIT) stuck(`the process holds ${memory} bytes`);
  if (cpu - running.cpu > CPU_LIMIT) stuck(`it runs for more than ${CPU_LIMIT} ms`);
  if (performance.now() - running.since > WALL_LIMIT) stuck("it does not come to an end");
}

function stuck(problem: string): never {
  const index = running.index < 0 ? -1 - running.index : running.index;
  found.push({ index, problem, input: "run it again by itself" });
  finish(index - order.first);
}

const worker = new Worker(new URL("worker.ts", import.meta.url), { type: "module" });
worker.onerror = (event) => {
  event.preventDefault();
  stuck(`an error that nobody caught: ${event.message}`);
};
worker.onmessage = ({ data }: MessageEvent<Report>) => {
  if ("done" in data) finish(data.done);
  found.push(data.found);
};
worker.postMessage(order);
setInterval(look, LOOK);
