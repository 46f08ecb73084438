import assert from "node:assert/strict";
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
});

Deno.test("parseForgetOptions() says what is wrong", () => {
  const cases: [string[], RegExp][] = [
    [[], /name one claim, as NAMESPACE\/NAME or by its UID/],
    [["a", "b"], /name one claim/],
    [["a", "--bogus"], /'--bogus'/],
    [["a", "--state-dir", "x"], /^--state-dir: "x" .* an absolute path/],
  ];
  for (const [argv, says] of cases) {
    assert.throws(() => parseForgetOptions(argv, none), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, says);
      return true;
    });
  }
});
