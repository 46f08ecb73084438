/** What of the documentation is written from the code (`deno task docs:reference`). */
import { join } from "node:path";
import { contentOf, FOLDER, PAGES } from "./pages.ts";

for (const path of Object.keys(PAGES)) {
  await Deno.writeTextFile(join(FOLDER, path), await contentOf(path));
}
