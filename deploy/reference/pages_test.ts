import assert from "node:assert/strict";
import { join } from "node:path";
import { EVENT_REASONS } from "../../mod/agent/reasons.ts";
import { sources } from "../../tests/support/sources.ts";
import { contentOf, FOLDER, PAGES } from "./pages.ts";

for (const path of Object.keys(PAGES)) {
  Deno.test(`docs/${path} is what the code says (deno task docs:reference)`, async () => {
    assert.equal(await Deno.readTextFile(join(FOLDER, path)), await contentOf(path));
  });
}

Deno.test("every reason of an Event is one that the agent gives", async () => {
  const folders = ["agent", "addresses"].map((each) =>
    new URL(`../../mod/${each}`, import.meta.url).pathname
  );
  const files = (await Promise.all(folders.map((folder) => sources(folder)))).flat()
    .filter(({ path }) => !path.endsWith("/reasons.ts"));
  const text = files.map((file) => file.text).join("\n");
  const unused = Object.keys(EVENT_REASONS).filter((reason) => !text.includes(`"${reason}"`));
  assert.deepEqual(unused, []);
});
