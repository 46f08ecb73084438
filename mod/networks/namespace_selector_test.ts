import assert from "node:assert/strict";
import {
  describeSelector,
  labelsOf,
  needsLabels,
  parseNamespaceSelector,
  selects,
} from "./namespace_selector.ts";

const shop = { name: "shop", labels: { tier: "web", zone: "a" } };
const NAME = "kubernetes.io/metadata.name";

for (
  const [selector, isSelected, text] of [
    [{}, true, ""],
    [{ matchLabels: { tier: "web" } }, true, "tier=web"],
    [{ matchLabels: { tier: "web", zone: "b" } }, false, "tier=web, zone=b"],
    [
      { matchExpressions: [{ key: "tier", operator: "In", values: ["db", "web"] }] },
      true,
      "tier in (db, web)",
    ],
    [
      { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["web"] }] },
      false,
      "tier notin (web)",
    ],
    [
      { matchExpressions: [{ key: "rack", operator: "NotIn", values: ["a"] }] },
      true,
      "rack notin (a)",
    ],
    [{ matchExpressions: [{ key: "tier", operator: "Exists" }] }, true, "tier"],
    [{ matchExpressions: [{ key: "constructor", operator: "Exists" }] }, false, "constructor"],
    [{ matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] }, false, "!tier"],
    [{ matchLabels: { [NAME]: "shop" } }, true, `${NAME}=shop`],
    [{ matchLabels: { [NAME]: "web" } }, false, `${NAME}=web`],
  ] as const
) {
  Deno.test(`a namespace is ${isSelected ? "" : "not "}selected by ${JSON.stringify(selector)}`, () => {
    const parsed = parseNamespaceSelector(selector, "selector");
    assert.equal(selects(parsed, shop), isSelected);
    assert.equal(describeSelector(parsed), text);
  });
}

Deno.test("needsLabels() is false where names decide", () => {
  const needs = (matchLabels: Record<string, string>) =>
    needsLabels(parseNamespaceSelector({ matchLabels }, ""));
  assert.equal(needs({ [NAME]: "shop" }), false);
  assert.equal(needs({ [NAME]: "shop", tier: "web" }), true);
});

Deno.test("a namespace cannot pretend to another name by a label", () => {
  const selector = parseNamespaceSelector({ matchLabels: { [NAME]: "shop" } }, "");
  assert.equal(selects(selector, { name: "other", labels: { [NAME]: "shop" } }), false);
});

Deno.test("labelsOf() reads namespaces with and without labels", () => {
  assert.deepEqual(labelsOf({ metadata: { name: "a", labels: { b: "c" } } }), { b: "c" });
  assert.deepEqual(labelsOf({ metadata: { name: "a" } }), {});
});
