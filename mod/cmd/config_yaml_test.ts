import assert from "node:assert/strict";
import { parseConfigYaml } from "./config_yaml.ts";

Deno.test("parseConfigYaml() reads YAML as Kubernetes does", () => {
  assert.deepEqual(parseConfigYaml("a: no\nb: [x, 1]\nc: &n {d: 1}\ne: *n\n"), {
    a: false,
    b: ["x", 1],
    c: { d: 1 },
    e: { d: 1 },
  });
  assert.equal(parseConfigYaml(""), null);
});

Deno.test("parseConfigYaml() says what is wrong and where, in one short line", () => {
  const cases: Record<string, RegExp> = {
    "a: 1\na: 2\n": /^line 2, column 1: a appears twice in the same object: keep one of them$/,
    "a: [": /^line 1, column \d+: /,
    "a: 1\n---\nb: 2\n": /^line 2, column 1: must be one YAML document: a second one begins here$/,
    "[a]: b": /^line 1, column 1: a key must be a plain value$/,
    [`a: *${"x".repeat(9000)}`]: /^line 1, column 4: a value that begins with \* /,
  };
  for (const [text, says] of Object.entries(cases)) {
    assert.throws(() => parseConfigYaml(text), (error: Error) => {
      assert.match(error.message, says);
      assert.ok(error.message.length < 400 && !error.message.includes("\n"));
      return true;
    });
  }
});

Deno.test("parseConfigYaml() is done at once with what other readers take hours for", () => {
  for (
    const text of [
      "? ".repeat(1000) + "a",
      "a: " + "!!binary ".repeat(2000),
      "[".repeat(8000),
      "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
    ]
  ) {
    const began = performance.now();
    assert.throws(() => parseConfigYaml(text));
    const took = performance.now() - began;
    assert.ok(took < 5_000, `${text.slice(0, 20)}… took ${took} ms`);
  }
});
