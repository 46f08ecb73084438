/**
 * Throws hostile input at everything that reads input (`deno task fuzz [--seed N] [--inputs N]
 * [--from N] [TARGET…]`): each target in a separate process, which may write to one folder only.
 * Without --inputs it runs long: a million inputs for the codecs of bytes, a hundred thousand for
 * each of the rest. Ends with one line that counts everything; exit code 1 when something was found.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Outcome } from "./child.ts";
import { TARGETS } from "./targets.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** What the code under test may hold on V8's heap, in MiB. */
const HEAP_LIMIT = 256;

const MODULE = new URL("targets.ts", import.meta.url).href;

export interface FuzzOptions {
  /** The module that has the targets. */
  readonly module?: string;
  readonly seed: number;
  readonly first: number;
  readonly inputs: number;
}

/** Runs one target in a process; what ended that process counts as found. */
export async function fuzz(
  target: string,
  { module = MODULE, seed, first, inputs }: FuzzOptions,
): Promise<Outcome> {
  const folder = await Deno.makeTempDir({ prefix: "network-dra-fuzz-" });
  try {
    const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-check", "--no-prompt"],
        ...[`--allow-read`, `--allow-write=${folder}`, "--allow-net", "--allow-env", "--allow-sys"],
        `--v8-flags=--max-old-space-size=${HEAP_LIMIT}`,
        join(ROOT, "tests/fuzz/child.ts"),
        ...[module, target, `${seed}`, `${first}`, `${inputs}`, folder],
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const last = new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "";
    if (code === 0 && last.startsWith("{")) return JSON.parse(last);
    const said = new TextDecoder().decode(stderr).trim().slice(-2000);
    const problem = `the process ended: ${signal ?? `exit code ${code}`}\n${said}`;
    return { done: 0, found: [{ index: first, problem, input: "" }], slowest: 0, memory: 0 };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** One line about a target's run. */
export function describe(target: string, { done, found, slowest, memory }: Outcome): string {
  const mebibytes = Math.round(memory / 1024 / 1024);
  return `${target}: ${done} inputs, ${found.length} found, ` +
    `slowest ${slowest < 50 ? "under 50" : slowest} ms, at most ${mebibytes} MiB`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      seed: { type: "string", default: `${crypto.getRandomValues(new Uint32Array(1))[0]}` },
      inputs: { type: "string" },
      from: { type: "string", default: "0" },
    },
  });
  const chosen = positionals.length > 0 ? positionals : Object.keys(TARGETS);
  const unknown = chosen.find((name) => !Object.hasOwn(TARGETS, name));
  if (unknown) {
    console.error(`fuzz: there is no target ${unknown}; there are ${Object.keys(TARGETS)}`);
    return 2;
  }
  const seed = Number(values.seed);
  let [inputs, found] = [0, 0];
  for (const name of chosen) {
    const options = {
      seed,
      first: Number(values.from),
      inputs: Number(values.inputs ?? TARGETS[name]!.inputs),
    };
    const outcome = await fuzz(name, options);
    inputs += outcome.done;
    found += outcome.found.length;
    console.log(describe(name, outcome));
    for (const { index, problem, input } of outcome.found) {
      console.log(`  again: deno task fuzz --seed ${seed} --from ${index} --inputs 1 ${name}`);
      console.log(`  ${problem.replaceAll("\n", "\n  ")}\n  input: ${input}`);
    }
  }
  console.log(`seed ${seed}: ${inputs} inputs, ${chosen.length} targets, found: ${found}`);
  return found === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
