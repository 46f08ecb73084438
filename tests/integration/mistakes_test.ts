/** What new users are told of their mistakes is what docs/reference/mistakes.md shows. */
import assert from "node:assert/strict";
import { type Mistake, MISTAKES } from "../support/mistakes.ts";
import { PAGE, page, printed } from "../support/mistakes_page.ts";

/** At once: most of the time each waits for programs to start. */
const WIDTH = 2;

Deno.test("docs/reference/mistakes.md shows what is printed", async () => {
  const all = Object.values(MISTAKES).flatMap((each) => Object.values(each));
  assert.ok(all.length >= 30);
  const outcomes = new Map<Mistake, string>();
  const waiting = [...all];
  const work = async () => {
    for (let mistake = waiting.shift(); mistake; mistake = waiting.shift()) {
      outcomes.set(mistake, await printed(mistake));
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, work));
  assert.equal(page(outcomes), await Deno.readTextFile(PAGE), "run: deno task docs:mistakes");
});
