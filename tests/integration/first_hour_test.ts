/** What a new user gives to `try`, and what it says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli, type CliOutcome } from "../support/cli.ts";
import { type Input, INPUTS } from "../support/first_hour.ts";

/** At once: most of the time each waits for programs to start. */
const WIDTH = 2;

async function run({ yaml, flags = [], node, config }: Input): Promise<CliOutcome> {
  const folder = await Deno.makeTempDir();
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(join(folder, name), text);
    return join(folder, name);
  };
  try {
    return await cli([
      "try",
      await write("given.yaml", yaml),
      ...node === undefined ? [] : ["--node", await write("node.yaml", node)],
      ...config === undefined ? [] : ["--config", await write("config.yaml", config)],
      ...flags,
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("try: what a new user would give it", async (t) => {
  const waiting = Object.values(INPUTS);
  const outcomes = new Map(waiting.map((input) => [input, Promise.withResolvers<CliOutcome>()]));
  const work = async () => {
    for (let input = waiting.shift(); input; input = waiting.shift()) {
      await run(input).then(outcomes.get(input)!.resolve, outcomes.get(input)!.reject);
    }
  };
  const all = Promise.all(Array.from({ length: WIDTH }, work));
  for (const [name, input] of Object.entries(INPUTS)) {
    await t.step(name, async () => {
      const { code, stderr } = await outcomes.get(input)!.promise;
      for (const expected of input.says) assert.match(stderr, expected);
      assert.equal(code, input.code, stderr);
    });
  }
  await all;
});
