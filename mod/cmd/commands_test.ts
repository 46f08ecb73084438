import assert from "node:assert/strict";
import { choicesOf, flagsOf } from "./command.ts";
import { commandNamed, COMMANDS } from "./commands.ts";
import type { Flag } from "./flag.ts";
import { readCommandLine } from "./flag_values.ts";

const FLAGS: readonly Flag<unknown>[] = COMMANDS.flatMap(flagsOf);

Deno.test("every command has what its help needs", () => {
  for (const { name, summary, description, argument, examples, exitCodes } of COMMANDS) {
    for (const sentence of [summary, ...description, ...argument ? [argument.help] : []]) {
      assert.match(sentence, /^[A-Z].*\.$/s, name);
    }
    for (const meaning of Object.values(exitCodes)) assert.match(meaning, /^[A-Z].*\.$/, name);
    assert.ok(examples.length > 0, name);
    for (const { what } of examples) assert.match(what, /^[A-Z].*:$/, name);
  }
});

Deno.test("no two flags of a command have a spelling in common, nor two settings a variable", () => {
  for (const command of COMMANDS) {
    const flags = flagsOf(command);
    for (
      const names of [
        flags.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
        flags.flatMap(({ short }) => short === undefined ? [] : [short]),
        flags.flatMap(({ env }) => env === undefined ? [] : [env]),
      ]
    ) {
      assert.deepEqual([...new Set(names)], names, command.name);
    }
  }
});

Deno.test("the configuration file names settings as flags are named, in camelCase", () => {
  for (const { settings = {} } of COMMANDS) {
    for (const [key, { name }] of Object.entries(settings)) {
      assert.equal(key, name.replaceAll(/-([a-z])/g, (_, letter) => letter.toUpperCase()));
    }
  }
});

Deno.test("every default and every choice of a flag is one that it takes", () => {
  for (const flag of FLAGS) {
    assert.match(flag.help, /^[A-Z].*\.$/, flag.name);
    for (const text of choicesOf(flag)) flag.parse(text);
    if (flag.default !== undefined) flag.parse(flag.default);
  }
});

Deno.test("the examples of a command are command lines that it takes", () => {
  let count = 0;
  for (const { examples } of COMMANDS) {
    for (const { line } of examples) {
      const [, name, rest] = line.match(/\bnetwork-dra ([a-z][a-z-]*)([^|>)]*)/)!;
      const command = commandNamed(name!);
      assert.ok(command, line);
      readCommandLine(command, rest!.split(" ").filter((word) => word !== ""));
      count++;
    }
  }
  assert.ok(count > 15);
});
