import assert from "node:assert/strict";
import { isDeeper } from "./nesting.ts";

Deno.test("isDeeper() counts lists and objects that stand in one another, and no text", () => {
  const cases: [string, number][] = [
    ["1", 0],
    ["[]", 1],
    ['{"a":[{}]}', 3],
    ["[[],[],[[]]]", 3],
    ['["[[[[", "\\"[[", "\\\\", []]', 2],
    ['{"{":"}"}', 1],
  ];
  for (const [json, depth] of cases) {
    JSON.parse(json);
    assert.equal(isDeeper(json, depth), false, json);
    assert.equal(isDeeper(json, depth - 1), depth > 0, json);
  }
  assert.equal(isDeeper("[".repeat(4_000_000), 10_000), true);
});
