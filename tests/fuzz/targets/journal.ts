import { join } from "node:path";
import { Agent } from "../../../mod/agent/agent.ts";
import { FileJournal } from "../../../mod/journal/journal.ts";
import { fakePorts } from "../../support/agent_fakes.ts";
import { assertBench, DRIVER } from "../agent_bench.ts";
import { corpus } from "../corpus.ts";
import { type Json, mutateJson } from "../mutate_json.ts";
import { mutateText } from "../mutate_text.ts";
import type { Random } from "../random.ts";
import { holds, type Target } from "../target.ts";

interface Record {
  readonly kind: "claims" | "attachments";
  readonly name: string;
  readonly text: string;
}

const NAMES = [
  "a.json",
  "uid-a.json",
  ".json",
  "__proto__.json",
  "..json",
  "a.json.tmp",
  "%zz.json",
  "a.corrupt",
  "a",
];
const never = new AbortController().signal;

/** Records as an agent may find them at its start, and what it does with them then. */
export async function makeJournal(folder: string): Promise<Target> {
  const files = await corpus("journal");
  const texts = [...files.values()];
  const seeds: Record[] = [...files].map(([name, text]) => ({
    kind: name.startsWith("claim") ? "claims" : "attachments",
    name: "a.json",
    text,
  }));
  let number = 0;
  const target: Target<readonly Record[]> = {
    seeds: seeds.map((seed) => [seed]),
    mutate: (_, random) => Array.from({ length: 1 + random.below(3) }, () => made(random, texts)),
    async attempt(records) {
      const state = join(folder, `state-${number++}`);
      for (const kind of ["claims", "attachments"]) {
        await Deno.mkdir(join(state, kind), { recursive: true, mode: 0o700 });
      }
      for (const { kind, name, text } of records) {
        await Deno.writeTextFile(join(state, kind, name), text);
      }
      const ports = fakePorts();
      const { cni, log } = ports;
      const journal = new FileJournal(state, { log });
      const options = { driver: DRIVER, concurrency: 2, policy: {} };
      const agent = new Agent({ ...ports, journal }, options);
      await agent.load();
      const claims = (await journal.load()).claims.map(({ claim }) => claim);
      // No sandbox lives: everything is detached, and what is detached leaves the disk.
      await agent.reconcile([], new Set());
      await agent.unprepare(claims, never);
      await agent.close();
      assertBench({ agent, cni, log } as never);
      const left = [...Deno.readDirSync(join(state, "claims"))].map(({ name }) => name);
      // A claim that was unprepared is remembered for some minutes.
      const kept = left.filter((name) => !/\.(corrupt|refused|departed)$|^a$/.test(name));
      holds(kept.length === 0, `records are left: ${kept}`);
      await Deno.remove(state, { recursive: true });
    },
    show: (records) => JSON.stringify(records),
  };
  return target as Target;
}

function made(random: Random, texts: readonly string[]): Record {
  const kind = random.pick(["claims", "attachments"] as const);
  const name = random.pick(NAMES);
  if (random.oneIn(3)) return { kind, name, text: mutateText(texts, random) };
  const documents = texts.map((text) => JSON.parse(text) as Json);
  return { kind, name, text: JSON.stringify(mutateJson(documents, random)) ?? "" };
}
