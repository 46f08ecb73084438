/** docs/config.schema.json from the code (`deno task schema`). */
import { configSchema } from "../mod/cmd/config_schema.ts";

const FILE = new URL("../docs/config.schema.json", import.meta.url);

if (import.meta.main) {
  await Deno.writeTextFile(FILE, `${JSON.stringify(configSchema(), null, 2)}\n`);
}
