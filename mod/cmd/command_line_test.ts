import assert from "node:assert/strict";
import { outcome } from "../../tests/support/command_outcome.ts";
import { commandNamed, COMMANDS } from "./commands.ts";
import { commandHelp, help } from "./help.ts";
import { VERSION } from "./version.ts";

const prints = (text: string) => ({ code: 0, stdout: `${text}\n`, stderr: "" });

Deno.test("help is printed on stdout, and the exit code is 0", async () => {
  for (const argv of [[], ["help"], ["--help"], ["-h"]]) {
    assert.deepEqual(await outcome(...argv), prints(help()));
  }
  for (const command of COMMANDS) {
    const { name } = command;
    for (
      const argv of [
        ["help", name],
        ["--help", name],
        [name, "--help"],
        [name, "-h"],
        [name, "--nope", "word", "-h"],
      ]
    ) {
      assert.deepEqual(await outcome(...argv), prints(commandHelp(command)), argv.join(" "));
    }
  }
});

Deno.test("the version is printed by the command and by the flag", async () => {
  assert.deepEqual(await outcome("version"), prints(VERSION));
  assert.deepEqual(await outcome("--version"), prints(VERSION));
});

Deno.test("completion scripts are printed", async () => {
  for (const shell of commandNamed("completion")!.argument!.choices!) {
    const { code, stdout } = await outcome("completion", shell);
    assert.equal(code, 0);
    assert.match(stdout, /^#.*\n/);
  }
});

Deno.test("wrong usage: exit code 2, what is wrong, and which help to read", async () => {
  const seeHelp = (of = "") => `\nRun 'network-dra${of} --help' for usage.\n`;
  const cases: [string[], string][] = [
    [["trie"], `network-dra: unknown command "trie"; did you mean "try"?${seeHelp()}`],
    [
      ["instal"],
      `network-dra: unknown command "instal"; did you mean "install-plugins"?${seeHelp()}`,
    ],
    [["zebra"], `network-dra: unknown command "zebra"${seeHelp()}`],
    [["help", "trie"], `network-dra: unknown command "trie"; did you mean "try"?${seeHelp()}`],
    [["--nope"], `network-dra: unknown flag --nope; the command must come first${seeHelp()}`],
    [["--verison"], `network-dra: unknown flag --verison; did you mean --version?${seeHelp()}`],
    [["-v"], `network-dra: unknown flag -v; did you mean --version?${seeHelp()}`],
    [
      ["try", "--kep"],
      `network-dra try: unknown flag --kep; did you mean --keep?${seeHelp(" try")}`,
    ],
    [["version", "x"], `network-dra version: unexpected argument "x"${seeHelp(" version")}`],
    [
      ["install-plugins", "--to", "/tmp"],
      "network-dra install-plugins: --from is required: Folder that contains the plugins." +
      seeHelp(" install-plugins"),
    ],
    [
      ["run", "--log-level", "loud"],
      'network-dra run: --log-level: "loud" is not valid; must be one of debug, info, warn, error\n',
    ],
    [
      ["lint", "-o", "a.yaml"],
      'network-dra lint: -o: "a.yaml" is not valid; must be one of text, json, sarif\n',
    ],
    [
      ["test", "--timeout", "-1"],
      'network-dra test: --timeout: "-1" is not valid; must be a time from 1ms to 60m, such as 500ms, ' +
      "30s or 2m\n",
    ],
    [
      ["run", "--concurrency", "-1"],
      'network-dra run: --concurrency: "-1" is not valid; must be a whole number from 1 to 1024\n',
    ],
    [["run", "--kubeconfig", "/nope"], "network-dra run: --kubeconfig /nope: no such file\n"],
    [
      ["run", "--kubeconfig", "/dev/null"],
      "network-dra run: --kubeconfig /dev/null: is not a kubeconfig\n",
    ],
    [["run", "--config", "/nope"], "network-dra run: --config /nope: no such file\n"],
    [["ready", "--config", "/"], "network-dra ready: --config /: is a folder, not a file\n"],
    [["lint", "/nope"], "network-dra lint: /nope: no such file\n"],
    [
      ["lint", "https://example.com/a.yaml"],
      "network-dra lint: https://example.com/a.yaml: URLs are not supported: download the file first, " +
      "or pipe it to -\n",
    ],
    [["lint", "--config", "/nope", "-"], "network-dra lint: --config /nope: no such file\n"],
    [
      ["try", "--cni-path", "/tmp:/nope", "a"],
      "network-dra try: --cni-path /nope: no such folder\n",
    ],
    [["try", "/nope/a.yaml"], "network-dra try: /nope/a.yaml: no such file\n"],
    [
      ["try", "--node", "/nope", "/dev/null"],
      "network-dra try: --node /nope: no such file\n",
    ],
    [
      ["install-plugins", "--from", "/nope", "--to", "/tmp"],
      "network-dra install-plugins: --from /nope: no such folder\n",
    ],
    [
      ["install-plugins", "--from", "/tmp", "--to", "/etc/passwd"],
      "network-dra install-plugins: --to /etc/passwd: not a folder\n",
    ],
  ];
  for (const [argv, stderr] of cases) {
    assert.deepEqual(await outcome(...argv), { code: 2, stdout: "", stderr }, argv.join(" "));
  }
});

Deno.test("lint refuses a configuration file that run refuses", async () => {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    const cases: [string, string][] = [
      ["polcy: {}", `${path}: polcy is unknown; must be one of .* \\(did you mean "policy"\\?\\)`],
      ["concurrency: many", `${path}: concurrency: "many" is not valid; .*`],
      ["interfaces: {exlude: [eth0]}", `${path}: interfaces.exlude: is unknown; .*`],
      ["- policy", `--config ${path}: must contain settings, .*`],
    ];
    for (const [file, says] of cases) {
      await Deno.writeTextFile(path, file);
      for (const argv of [["lint", "--config", path, "/dev/null"], ["run", "--config", path]]) {
        const { code, stdout, stderr } = await outcome(...argv);
        assert.deepEqual({ code, stdout }, { code: 2, stdout: "" }, argv.join(" "));
        assert.match(stderr, new RegExp(`^network-dra ${argv[0]}: ${says}\n$`));
      }
    }
  } finally {
    await Deno.remove(path);
  }
});
