/** What a new user gives to `try`, and what it says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli } from "../support/cli.ts";
import { INPUTS } from "../support/first_hour.ts";

for (const [name, { yaml, flags = [], node, config, code, says }] of Object.entries(INPUTS)) {
  Deno.test(`try: ${name}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const write = async (file: string, text: string | undefined) => {
        if (text === undefined) return [];
        await Deno.writeTextFile(join(folder, file), text);
        return [`--${file.split(".")[0]}`, join(folder, file)];
      };
      const given = join(folder, "given.yaml");
      await Deno.writeTextFile(given, yaml);
      const more = [...await write("node.yaml", node), ...await write("config.yaml", config)];
      const outcome = await cli(["try", given, ...more, ...flags]);
      for (const expected of says) assert.match(outcome.stderr, expected);
      assert.equal(outcome.code, code, outcome.stderr);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
