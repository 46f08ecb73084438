import assert from "node:assert/strict";
import { cli } from "../../tests/support/cli.ts";
import { parseForgetOptions } from "./forget.ts";
import { UsageError } from "./usage_error.ts";

const none = () => undefined;

Deno.test("parseForgetOptions() reads the claim, and where the agent's state is", () => {
  const parse = (argv: string[], env: (name: string) => string | undefined = none) => {
    const { claim, stateDir } = parseForgetOptions(argv, env);
    return `${claim} ${stateDir}`;
  };
  const env = (name: string) => name === "NETWORK_DRA_STATE_DIR" ? "/from/env" : undefined;
  assert.equal(parse(["default/a"]), "default/a /var/lib/network-dra");
  assert.equal(parse(["default/a"], env), "default/a /from/env");
  assert.equal(parse(["default/a", "--state-dir", "/s"], env), "default/a /s");
  const uid = "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55";
  assert.equal(parse([uid]), `${uid} /var/lib/network-dra`);
});

Deno.test("parseForgetOptions() says what is wrong", () => {
  const cases: [string[], RegExp][] = [
    [[], /^CLAIM is required: .*, as NAMESPACE\/NAME or by its UID\.$/],
    [["default/a", "b"], /^unexpected argument "b"$/],
    [["default/a", "--bogus"], /^unknown flag --bogus$/],
    [
      ["default/a", "--state-dir", "x"],
      /^--state-dir: "x" is not valid; must be an absolute path$/,
    ],
  ];
  for (
    const claim of ["lan", "/a", "default/", "default/a/b", "Default/a", "default/a b", "../../etc"]
  ) {
    cases.push([
      [claim],
      /^CLAIM: ".*" is not valid; must be NAMESPACE\/NAME, such as default\/lan, or a claim's/,
    ]);
  }
  for (const [argv, says] of cases) {
    assert.throws(() => parseForgetOptions(argv, none), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, says);
      return true;
    });
  }
});

Deno.test("forget refuses a bad name and a folder without an agent at once, and makes no file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (
      const [args, says] of [
        [["lan", "--state-dir", folder], /"lan" is not valid; must be NAMESPACE\/NAME/],
        [
          ["default/lan", "--state-dir", `${folder}/no`],
          /--state-dir \/.*\/no: no such folder/,
        ],
      ] as const
    ) {
      const { code, stderr } = await cli(["forget", ...args]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, says);
    }
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("forget says what it waits for, and how long", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { stderr } = await cli(["forget", "default/lan", "--state-dir", folder], {
      interrupt: "waiting for this node's agent to forget claim default/lan for at most 60 s",
    });
    assert.match(stderr, /Ctrl\+C ends the wait/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
