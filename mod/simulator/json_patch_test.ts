import assert from "node:assert/strict";
import { applyJsonPatch, type JsonPatchOperation } from "./json_patch.ts";

const document = { n: 1, list: ["a", "b", "c"], "x/y": { "~": true } };

Deno.test("applyJsonPatch() changes members and items in the order of the operations", () => {
  const cases: [JsonPatchOperation[], object][] = [
    [[{ op: "add", path: "/m", value: 2 }], { ...document, m: 2 }],
    [[{ op: "add", path: "/n", value: 2 }], { ...document, n: 2 }],
    [[{ op: "remove", path: "/list" }, { op: "remove", path: "/x~1y" }], { n: 1 }],
    [[{ op: "add", path: "/list/1", value: "x" }], { ...document, list: ["a", "x", "b", "c"] }],
    [
      [{ op: "replace", path: "/list/2", value: "x" }, { op: "remove", path: "/list/0" }, {
        op: "add",
        path: "/list/-",
        value: "d",
      }],
      { ...document, list: ["b", "x", "d"] },
    ],
    [[{ op: "replace", path: "/x~1y/~0", value: 0 }], { ...document, "x/y": { "~": 0 } }],
    [[{ op: "test", path: "/list", value: ["a", "b", "c"] }], document],
  ];
  const before = structuredClone(document);
  for (const [patch, expected] of cases) {
    assert.deepEqual(applyJsonPatch(document, patch), expected);
  }
  assert.deepEqual(document, before);
});

Deno.test("applyJsonPatch() says which operation does not apply", () => {
  const cases: [JsonPatchOperation, RegExp][] = [
    [{ op: "test", path: "/n", value: 2 }, /testing value \/n failed/],
    [{ op: "remove", path: "/m" }, /remove operation does not apply: \/m: missing value/],
    [{ op: "replace", path: "/list/3", value: 1 }, /replace .* \/list\/3: missing value/],
    [{ op: "add", path: "/m/n", value: 1 }, /add .* \/m\/n: missing value/],
    [{ op: "add", path: "", value: 1 }, /missing value/],
    [{ op: "move", path: "/n" }, /unexpected operation "move"/],
  ];
  for (const [operation, says] of cases) {
    assert.throws(() => applyJsonPatch(document, [operation]), says);
  }
});
