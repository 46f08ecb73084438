import assert from "node:assert/strict";
import { join } from "node:path";
import { commandLauncher } from "./launcher.ts";

async function launch(command: readonly string[], args: string[]): Promise<[number, string]> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "launcher");
    await Deno.writeFile(path, commandLauncher(command), { mode: 0o700 });
    const { code, stdout } = await new Deno.Command(path, {
      args,
      clearEnv: true,
      env: { NAME: "value" },
    }).output();
    return [code, new TextDecoder().decode(stdout)];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "commandLauncher() becomes its command, with its own arguments behind the command's",
  ignore: Deno.build.arch !== "x86_64",
  fn: async () => {
    const print = ["/usr/bin/printf", "[%s]", "a", "b c"];
    assert.deepEqual(await launch(print, []), [0, "[a][b c]"]);
    assert.deepEqual(await launch(print, ["", "d"]), [0, "[a][b c][][d]"]);
    assert.deepEqual(await launch(["/usr/bin/env"], []), [0, "NAME=value\n"]);
    assert.deepEqual(await launch(["/usr/bin/false"], []), [1, ""]);
  },
});

Deno.test({
  name: "commandLauncher() says by its exit code that there is no such program",
  ignore: Deno.build.arch !== "x86_64",
  fn: async () => assert.deepEqual(await launch(["/nonexistent"], ["x"]), [121, ""]),
});
