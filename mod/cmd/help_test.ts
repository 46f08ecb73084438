import assert from "node:assert/strict";
import { flagsOf } from "./command.ts";
import { commandNamed, COMMANDS } from "./commands.ts";
import { commandHelp, help } from "./help.ts";

Deno.test("help has no line of more than 80 characters, and none that ends in a space", () => {
  const pages = {
    "": help(),
    ...Object.fromEntries(COMMANDS.map((c) => [c.name, commandHelp(c)])),
  };
  for (const [name, page] of Object.entries(pages)) {
    for (const line of page.split("\n")) {
      assert.ok(line.length <= 80 && line === line.trimEnd(), `${name}: ${line}`);
    }
  }
});

Deno.test("help names every command, and that of a command every flag and variable", () => {
  for (const command of COMMANDS) {
    assert.match(help(), new RegExp(`^  ${command.name} +\\S`, "m"));
    const page = commandHelp(command);
    for (const { name, short, aliases = [], env } of flagsOf(command)) {
      assert.match(page, new RegExp(`^  (-${short}, |    )--${name}\\b`, "m"));
      for (const text of [...aliases.map((alias) => `[also --${alias}]`), ...env ? [env] : []]) {
        assert.ok(page.includes(text), `${command.name}: ${text}`);
      }
    }
  }
});

Deno.test("commandHelp() of a command with few flags, in columns", () => {
  assert.equal(
    commandHelp(commandNamed("lint")!),
    `\
Reports what the API server, the scheduler and the agent would say about claims,
DeviceClasses and pods. Needs neither root nor a network.

Usage:
  network-dra lint FILE… [FLAGS]

Arguments:
  FILE…  YAML file with Kubernetes objects. A dash (-) reads standard input.

Examples:
  # Check files:
  network-dra lint lan.yaml pods.yaml

  # Check what a chart renders:
  helm template web ./chart | network-dra lint -

  # Report to a code host:
  network-dra lint -o sarif lan.yaml > network-dra.sarif

Flags:
  -o, --output FORMAT     Format of the report: json for programs, sarif for
                          code hosts. One of text, json, sarif. [default: text]
      --driver-name NAME  Name of the DRA driver.
                          [default: the driver that the files name]
      --config PATH       Configuration file of the agent, for example with a
                          policy.
  -h, --help              Print this help.

Exit codes:
  0  There are no errors.
  1  There are errors.
  2  Wrong usage: a flag, an environment variable, or a file that one of them
     names.`,
  );
});

Deno.test("commandHelp() of a command with long flags, one below the other", () => {
  assert.match(
    commandHelp(commandNamed("run")!),
    /^ {6}--repair\n {10}Attach .*\n {10}\[env: NETWORK_DRA_REPAIR=true\]\n {6}--gc-networks NAME/m,
  );
});
