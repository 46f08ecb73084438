import assert from "node:assert/strict";
import { FORGET } from "./commands/forget.ts";
import { COMPLETION, HELP } from "./commands/general.ts";
import { LINT } from "./commands/lint.ts";
import { READY, RUN } from "./commands/run.ts";
import { TRY } from "./commands/try.ts";
import type { Command } from "./command.ts";
import { CommandLineError } from "./usage_error.ts";
import { asksForHelp, checkArguments, readWords } from "./words.ts";

function read(command: Command, ...argv: string[]): string {
  const { flags, args } = readWords(command, argv);
  return [...[...flags].map(([name, { at, text }]) => `${name} (${at}) ${text}`), ...args].join(
    " ",
  );
}

Deno.test("readWords() reads flags wherever they stand, and arguments", () => {
  const cases: [Command, string[], string][] = [
    [TRY, ["a.yaml", "b.yaml"], "a.yaml b.yaml"],
    [
      TRY,
      ["--keep", "a.yaml", "-o", "json", "b.yaml"],
      "keep (--keep) true output (-o) json a.yaml b.yaml",
    ],
    [TRY, ["-ojson", "a"], "output (-o) json a"],
    [TRY, ["-o=json", "a"], "output (-o) json a"],
    [TRY, ["--output=a=b", "a"], "output (--output) a=b a"],
    [TRY, ["--output", "json", "--output", "yaml", "a"], "output (--output) yaml a"],
    [TRY, ["--keep=false", "a"], "keep (--keep) false a"],
    [TRY, ["--", "--keep", "-h"], "--keep -h"],
    [LINT, ["-"], "-"],
    [
      RUN,
      ["--cdi-dir", "", "--cni-cache-dir", "/s"],
      "cdi-dir (--cdi-dir)  state-dir (--cni-cache-dir) /s",
    ],
    [RUN, ["--node-name=-x"], "node-name (--node-name) -x"],
    [RUN, ["--concurrency", "-1"], "concurrency (--concurrency) -1"],
    [HELP, [], ""],
    [COMPLETION, ["fish"], "fish"],
  ];
  for (const [command, argv, says] of cases) assert.equal(read(command, ...argv), says);
});

Deno.test("readWords() names the flag that is wrong, and what was meant", () => {
  const cases: [Command, string[], string][] = [
    [TRY, ["--kep", "a"], "unknown flag --kep; did you mean --keep?"],
    [TRY, ["--Keep", "a"], "unknown flag --Keep; did you mean --keep?"],
    [TRY, ["-keep", "a"], "unknown flag -keep; did you mean --keep?"],
    [TRY, ["--driver=x", "a"], "unknown flag --driver; did you mean --driver-name?"],
    [TRY, ["--hlep", "a"], "unknown flag --hlep; did you mean --help?"],
    [TRY, ["--zzz=secret", "a"], "unknown flag --zzz"],
    [TRY, ["-f", "a"], "unknown flag -f; name files without a flag, as in network-dra try FILE"],
    [
      LINT,
      ["--filename=a"],
      "unknown flag --filename; name files without a flag, as in network-dra lint FILE",
    ],
    [RUN, ["-f", "a"], "unknown flag -f"],
    [RUN, ["--kube", "x"], "unknown flag --kube"],
    [
      RUN,
      ["--node-name"],
      "--node-name: value is missing; must be a name that is not empty, as in --node-name NAME",
    ],
    [
      RUN,
      ["--concurrency", "--repair"],
      "--concurrency: value is missing, before the flag --repair; must be a whole number from 1 to " +
      "1024, as in --concurrency NUMBER",
    ],
    [
      RUN,
      ["--cni-timeout"],
      "--cni-timeout: value is missing; must be a time from 1ms to 60m, such as 500ms, 30s or 2m, " +
      "as in --cni-timeout TIME",
    ],
    [RUN, ["--cdi-dir"], "--cdi-dir: value is missing, as in --cdi-dir PATH"],
    [
      TRY,
      ["a", "-o"],
      "-o: value is missing; must be one of yaml, json, as in --output FORMAT",
    ],
    [FORGET, ["--timeout", "-1", "a/b"], "unknown flag --timeout"],
  ];
  for (const [command, argv, says] of cases) {
    assert.throws(() => readWords(command, argv), new CommandLineError(says));
  }
});

Deno.test("checkArguments() names the argument that is wrong or missing", () => {
  const cases: [Command, string[], string][] = [
    [RUN, ["word"], 'unexpected argument "word"'],
    [READY, ["word"], 'unexpected argument "word"'],
    [FORGET, ["a/b", "c/d"], 'unexpected argument "c/d"'],
    [FORGET, [], "CLAIM is required: The claim, as NAMESPACE/NAME or by its UID."],
    [COMPLETION, [], "SHELL is required: one of bash, zsh, fish"],
    [COMPLETION, ["tcsh"], 'SHELL: "tcsh" is not valid; must be one of bash, zsh, fish'],
  ];
  for (const [command, args, says] of cases) {
    assert.throws(() => checkArguments(command, args), new CommandLineError(says));
  }
});

Deno.test("asksForHelp() finds -h and --help wherever they stand, before --", () => {
  assert.ok(asksForHelp(["--nope", "a", "-h"]));
  assert.ok(asksForHelp(["--node-name", "--help"]));
  assert.ok(!asksForHelp(["--", "-h"]));
  assert.ok(!asksForHelp(["help", "--node-name=--help"]));
});
