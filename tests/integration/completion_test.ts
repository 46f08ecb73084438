/** The completion scripts in the shells that they are for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { completionScript } from "../../mod/cmd/completion.ts";
import { choicesOf, flagsOf } from "../../mod/cmd/command.ts";
import { COMMANDS } from "../../mod/cmd/commands.ts";
import type { Shell } from "../../mod/cmd/commands/general.ts";
import { fetchShells } from "../support/shells.ts";
import { Terminal } from "../support/terminal.ts";

/** Prints each of its arguments in brackets. */
const PROGRAM = `network-dra() { printf '<%s>' "$@"; echo; }\n`;

/** What is typed, where a tab asks for completion, and the arguments that come of it. */
const TYPED: readonly (readonly [keys: string, args: string])[] = [
  ["inst\t", "<install-plugins>"],
  ["--ver\t", "<--version>"],
  ["help li\t", "<help><lint>"],
  ["completion f\t", "<completion><fish>"],
  ["lint -o sa\t", "<lint><-o><sarif>"],
  ["lint --output=j\t", "<lint><--output=json>"],
  ["lint la\t", "<lint><lan.yaml>"],
  ["try --config my\t", "<try><--config><my file.yaml>"],
  ["try --ver\t la\t", "<try><--verbose><lan.yaml>"],
  ["run --log-level w\t", "<run><--log-level><warn>"],
  ["run --kubelet-dir fo\t", "<run><--kubelet-dir><folder/>"],
  ["install-plugins --from fo\t --to /t\t", "<install-plugins><--from><folder/><--to></tmp/>"],
];

/** A folder with files to complete, and the script of a shell, while the body runs. */
async function withScript(
  shell: Shell,
  body: (folder: string, script: string) => Promise<void>,
): Promise<void> {
  const base = await Deno.makeTempDir({ prefix: "network-dra-" });
  const folder = join(base, "work");
  const script = join(base, "script");
  try {
    await Deno.mkdir(join(folder, "folder"), { recursive: true });
    for (const name of ["lan.yaml", "my file.yaml"]) {
      await Deno.writeTextFile(join(folder, name), "");
    }
    await Deno.writeTextFile(script, `${completionScript(shell)}\n`);
    await body(folder, script);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

/** Types everything into a shell that reads its first commands from a file. */
async function typeAll(
  shell: { readonly command: string; readonly start: string },
  folder: string,
): Promise<void> {
  const start = join(folder, "../start");
  await Deno.writeTextFile(start, shell.start);
  await using terminal = new Terminal(shell.command, { cwd: folder });
  // What is echoed is not what is awaited.
  await terminal.type(`. ../start; echo st''arted\n`, { until: "started" });
  for (const [keys, args] of TYPED) await terminal.type(`network-dra ${keys}\n`, { until: args });
  await terminal.type("exit\n", { until: "exit" });
}

Deno.test("bash completes commands, flags, values and file names", () =>
  withScript("bash", async (folder, script) => {
    const command = "bash --norc --noprofile -i";
    await typeAll({ command, start: `${PROGRAM}. ${script}\n` }, folder);
  }));

Deno.test("bash completes folders behind colons, and nothing where nobody can know", () =>
  withScript("bash", async (folder, script) => {
    const ask = async (...words: string[]) => {
      const quoted = words.map((word) => `'${word}'`).join(" ");
      const text = `. ${script}; COMP_WORDS=(network-dra ${quoted}) COMP_CWORD=${words.length}; ` +
        `_network_dra; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { success, stdout } = await new Deno.Command("bash", {
        args: ["--norc", "-c", text],
        cwd: folder,
      }).output();
      assert.ok(success);
      return new TextDecoder().decode(stdout).trim().split("\n");
    };
    assert.deepEqual(await ask("run", "--cni-path", "/a", ":", "fo"), ["folder"]);
    assert.deepEqual(await ask("run", "--cni-path", "=", "/a", ":", "fo"), ["folder"]);
    assert.deepEqual(await ask("run", "--log-level", "="), ["debug", "info", "warn", "error"]);
    assert.deepEqual(await ask("run", "--node-name", ""), [""]);
    assert.deepEqual(await ask("forget", ""), [""]);
    assert.deepEqual(await ask("nosuch", ""), [""]);
    for (const command of COMMANDS) {
      const flags = flagsOf(command);
      assert.deepEqual(await ask(command.name, "--"), flags.map(({ name }) => `--${name}`));
    }
  }));

Deno.test("zsh completes commands, flags, values and file names", () =>
  withScript("zsh", async (folder, script) => {
    const { zsh: { program, functions } } = await fetchShells();
    const start = `fpath=(${functions}/*(/) ${functions}/Completion/*(/))\n` +
      `setopt no_auto_remove_slash\nautoload -Uz compinit\ncompinit -u -D\n${PROGRAM}. ${script}\n`;
    await typeAll({ command: `${program} -f -i`, start }, folder);
  }));

Deno.test("fish completes commands, flags, values and file names", () =>
  withScript("fish", async (folder, script) => {
    const { fish } = await fetchShells();
    const lines = [
      "",
      "inst",
      "--ver",
      "help li",
      "lint la",
      "try --config my",
      "install-plugins --from ",
      "forget ",
      ...COMMANDS.flatMap(({ name, flags }) =>
        Object.values(flags).map((flag) => `${name} --${flag.name} `)
      ),
    ];
    const asked = lines.map((line) => `echo '== ${line}'; complete -C 'network-dra ${line}'\n`);
    const { code, stdout, stderr } = await new Deno.Command(fish.program, {
      args: [
        "--no-config",
        "--command",
        `set --prepend fish_function_path ${fish.functions}; source ${script}; ${asked.join("")}`,
      ],
      cwd: folder,
      env: { ...fish.env, HOME: folder },
    }).output();
    assert.equal(code, 0);
    assert.equal(new TextDecoder().decode(stderr), "");
    const answers = new Map(
      new TextDecoder().decode(stdout).split("== ").slice(1).map((answer) => {
        const [line = "", ...rows] = answer.split("\n");
        return [line, rows.slice(0, -1).map((row) => row.split("\t")[0]!)];
      }),
    );
    const expected: Readonly<Record<string, readonly string[]>> = {
      "": COMMANDS.map(({ name }) => name).toSorted(),
      "inst": ["install-plugins"],
      "--ver": ["--version"],
      "help li": ["lint"],
      "lint la": ["lan.yaml"],
      "try --config my": ["my file.yaml"],
      "install-plugins --from ": ["folder/"],
      "forget ": [],
    };
    for (const [line, words] of Object.entries(expected)) {
      assert.deepEqual(answers.get(line), words, line);
    }
    for (const { name, flags } of COMMANDS) {
      for (const flag of Object.values(flags)) {
        const choices = choicesOf(flag);
        if (choices.length === 0) continue;
        assert.deepEqual(answers.get(`${name} --${flag.name} `), choices.toSorted());
      }
    }
  }));
