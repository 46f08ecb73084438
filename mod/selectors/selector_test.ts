import assert from "node:assert/strict";
import { SELECTOR_CASES, SELECTOR_DEVICES } from "../../tests/support/selector_cases.ts";
import { compileSelector, SelectorError, UnsupportedSelectorError } from "./selector.ts";

function outcome(expression: string): string {
  try {
    const selector = compileSelector(expression);
    return SELECTOR_DEVICES.map((device) => {
      try {
        return selector.matches(device) ? "+" : "-";
      } catch {
        return "!";
      }
    }).join("");
  } catch (error) {
    assert.ok(error instanceof SelectorError, String(error));
    return "refused";
  }
}

Deno.test("compileSelector() evaluates as Kubernetes does", async (t) => {
  for (const [expected, expressions] of Object.entries(SELECTOR_CASES)) {
    for (const expression of expressions) {
      await t.step(expression, () => assert.equal(outcome(expression), expected));
    }
  }
});

Deno.test("compileSelector() says what is wrong, and where", () => {
  const cases = {
    'device.drver == "x"': "compilation failed: ERROR: <input>:1:8: undefined field 'drver'",
    'true &&\n  dev.driver == "x"':
      "compilation failed: ERROR: <input>:2:3: undeclared reference to 'dev' (in container '')",
    "device.driver == 1":
      "compilation failed: ERROR: <input>:1:1: found no matching overload for string == int",
    "device.driver": "must evaluate to bool or the unknown type, not string",
    [`true || "${"x".repeat(10_240)}" == ""`]: "Too long: may not be more than 10240 bytes",
  };
  for (const [expression, message] of Object.entries(cases)) {
    assert.throws(() => compileSelector(expression), { name: "SelectorError", message });
  }
});

Deno.test("matches() says why an evaluation fails", () => {
  const [device] = SELECTOR_DEVICES;
  const fails = (expression: string) => () => compileSelector(expression).matches(device!);
  assert.throws(
    fails('device.attributes["test.selectors"].speed > 1'),
    /^Error: no such key: speed/,
  );
  assert.throws(fails("1 / 0 == 1"), /division by zero/);
});

Deno.test("compileSelector() tells functions that it lacks from mistakes", () => {
  for (const expression of ['ip("10.0.0.1").family() == 4', "sets.contains([1, 2], [1])"]) {
    assert.throws(() => compileSelector(expression), UnsupportedSelectorError);
  }
});
