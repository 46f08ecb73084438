import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { BROKEN_AGENTS, type BrokenAgent, type Change } from "./broken_agents.ts";
import { playRun, simulate } from "./simulate.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** What the simulation needs of the project. */
const PARTS = ["mod", "proto/gen", "tests/simulation", "tests/faults/random.ts", "deno.json"];
/** Within so many operations each must be noticed. */
const OPERATIONS = 20_000;

export interface BrokenOptions {
  readonly seed: number;
  /** Agents that are tried at once. */
  readonly workers: number;
  /** Only those whose names hold this. */
  readonly filter: string;
  readonly write: (line: string) => void;
}

/**
 * Plays agents that are broken on purpose until each is noticed, and writes a table. A run counts in
 * which the sound agent does nothing wrong.
 *
 * @returns whether all were noticed
 */
export async function findBroken(
  { seed, workers, filter, write }: BrokenOptions,
): Promise<boolean> {
  const agents = BROKEN_AGENTS.filter(({ name }) => name.includes(filter));
  await assertPatchesFit();
  const sound = new SoundAgent(seed);
  write("| broken on purpose: the agent … | noticed by | after operations |");
  write("| --- | --- | --- |");
  let found = 0;
  const left = [...agents];
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let agent; (agent = left.shift());) {
      const notice = await tryAgent(agent, { seed, sound });
      if (notice) found++;
      write(`| ${agent.name} | ${notice?.by ?? "**nothing**"} | ${notice?.after ?? ""} |`);
    }
  }));
  write(`${found} of ${agents.length} broken agents noticed within ${OPERATIONS} operations`);
  write(`${sound.failing.size} runs fail with the sound agent too, and do not count`);
  return found === agents.length;
}

/** @throws Error where a change cannot be made any more: the code is another now */
export async function assertPatchesFit(): Promise<void> {
  for (const { changes } of BROKEN_AGENTS) {
    for (const change of changes) await changed(ROOT, change);
  }
}

/** What the sound agent does in runs in which a broken one does something wrong. */
class SoundAgent {
  readonly #seed: number;
  /** Seeds of runs in which it does something wrong too. */
  readonly failing = new Set<number>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** @param run its number */
  async fails(run: number): Promise<boolean> {
    const { seed, violations } = await playRun(this.#seed, run);
    if (violations.length > 0) this.failing.add(seed);
    return violations.length > 0;
  }
}

interface Notice {
  readonly by: string;
  readonly after: number;
}

async function tryAgent(
  { changes }: BrokenAgent,
  { seed, sound }: { readonly seed: number; readonly sound: SoundAgent },
): Promise<Notice | undefined> {
  const folder = await Deno.makeTempDir({ prefix: "network-dra-broken-" });
  try {
    for (const part of PARTS) await copy(join(ROOT, part), join(folder, part));
    for (const change of changes) {
      await Deno.writeTextFile(join(folder, "mod", change.file), await changed(folder, change));
    }
    for (;;) {
      const { runs, operations, failures } = await simulate({
        seed,
        ops: OPERATIONS,
        workers: 1,
        known: sound.failing,
        stopsAtFirst: true,
        folder: pathToFileURL(join(folder, "tests/simulation/")),
        write: () => {},
      });
      const [violation] = failures[0]?.violations ?? [];
      if (!violation) return undefined;
      if (await sound.fails(runs - 1)) continue;
      return { by: violation.invariant, after: operations };
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The file's text with the change. @throws Error where it cannot be made: the code is another now */
async function changed(root: string, { file, from, to }: Change): Promise<string> {
  const text = await Deno.readTextFile(join(root, "mod", file));
  const places = text.split(from).length - 1;
  if (places === 1) return text.replace(from, () => to);
  throw new Error(`${file} has ${places} times, and should have once: ${from}`);
}

async function copy(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) {
    await Deno.mkdir(join(to, ".."), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}
