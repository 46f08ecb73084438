/** `deno task docs:mistakes`: writes docs/reference/mistakes.md again. */
import { MISTAKES } from "./mistakes.ts";
import { PAGE, page, printed } from "./mistakes_page.ts";

const outcomes = new Map();
for (const mistake of Object.values(MISTAKES).flatMap((each) => Object.values(each))) {
  outcomes.set(mistake, await printed(mistake));
}
await Deno.writeTextFile(PAGE, page(outcomes));
