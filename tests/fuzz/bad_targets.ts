/** Code that breaks the rules, each in its own way, to see that it is found. */
import { declared, type Target } from "./target.ts";
import type { Targets } from "./targets.ts";

function bad(attempt: (input: number) => void | Promise<void>): Targets[string] {
  const target: Target<number> = {
    seeds: [],
    mutate: (_, random) => random.next(),
    attempt,
    show: String,
  };
  return { make: () => Promise.resolve(target as Target), inputs: 10 };
}

const kept: unknown[] = [];

export const TARGETS: Targets = {
  good: bad(() => {}),
  throws: bad(() => {
    declared(new TypeError("a slip"), RangeError);
  }),
  runsForEver: bad(() => {
    for (;;);
  }),
  waitsForEver: bad(() => new Promise(() => {})),
  keepsBuffers: bad(() => {
    kept.push(new Uint8Array(200 * 1024 * 1024).fill(1));
  }),
  keepsObjects: bad(() => {
    for (let i = 0; i < 10_000; i++) kept.push(new Array(1000).fill(i));
  }),
  writesElsewhere: bad(() => Deno.writeTextFile("/tmp/network-dra-must-not-be", "")),
  writesElsewhereAndSaysAnother: bad(async () => {
    const error = await Deno.writeTextFile("/tmp/network-dra-must-not-be", "").catch((error) =>
      error
    );
    declared(new RangeError(`cannot write: ${error.message}`), RangeError);
  }),
  runsAProgram: bad(async () => {
    await new Deno.Command("true").output();
  }),
  failsLater: bad(() => {
    setTimeout(() => {
      throw new Error("nobody caught this");
    }, 0);
  }),
  rejectsUnheard: bad(() => {
    void Promise.reject(new Error("nobody caught this"));
  }),
  changesAllObjects: bad(() => {
    (Object.prototype as Record<string, unknown>).polluted = true;
  }),
  saysTooMuch: bad(() => {
    declared(new RangeError("x".repeat(10_000)), RangeError);
  }),
};
