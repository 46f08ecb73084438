import assert from "node:assert/strict";
import fc from "fast-check";
import { FieldError } from "../claim/field.ts";
import { definedNetwork, parseDefinition } from "./definition.ts";

const metadata = { namespace: "shop", name: "lan" };
const read = (config: string) => definedNetwork(parseDefinition({ metadata, spec: { config } }));

Deno.test("definedNetwork() reads what Multus reads", async (t) => {
  await t.step("one plugin, named after the object", () => {
    const { network, form } = read('{"cniVersion": "0.3.1", "type": "macvlan", "master": "eth1"}');
    assert.equal(form, "single");
    assert.deepEqual(network, {
      cniVersion: "0.3.1",
      name: "lan",
      plugins: [{ cniVersion: "0.3.1", type: "macvlan", master: "eth1", name: "lan" }],
    });
  });
  await t.step("a list with a name of its own", () => {
    const { network, form } = read(
      ' {"cniVersion": "1.0.0", "name": "storage", "plugins": [{"type": "bridge"}]}\n',
    );
    assert.deepEqual([network.name, form], ["storage", "list"]);
  });
  await t.step("an empty name", () => {
    assert.equal(read('{"name": "", "type": "macvlan"}').network.name, "lan");
  });
});

Deno.test("parseDefinition() takes objects without a configuration", () => {
  for (const spec of [undefined, null, {}, { config: "" }, { config: " \n" }]) {
    assert.deepEqual(parseDefinition({ metadata, spec }), { ...metadata, config: "" });
  }
  assert.throws(
    () => parseDefinition({ metadata, spec: { config: {} } }),
    /spec\.config: must be JSON/,
  );
  assert.throws(() => parseDefinition({ metadata: { name: "a" } }), /metadata\.namespace/);
});

for (
  const [config, says] of [
    ["{", /^spec\.config: is not JSON: /],
    ["[]", /^spec\.config: must be an object/],
    ['"{}"', /^spec\.config: must be an object/],
    ['{"name": "a"}', /^spec\.config: must have "plugins"/],
    ['{"cniVersion": "2.0.0", "type": "a"}', /^spec\.config\.cniVersion: "2\.0\.0" is unknown/],
    ['{"name": 7, "type": "a"}', /^spec\.config\.name: must be a string/],
    ['{"name": "../a", "type": "a"}', /^spec\.config\.name: "\.\.\/a" must begin with/],
    ['{"type": "a", "__proto__": {"x": 1}}', /^spec\.config\.__proto__: is not allowed/],
    [`{"type": "a", "x": ${"[".repeat(60)}${"]".repeat(60)}}`, /is nested too deeply/],
  ] as const
) {
  Deno.test(`definedNetwork() refuses ${config.slice(0, 40)}`, () => {
    assert.throws(() => read(config), (error) => {
      assert.ok(error instanceof FieldError);
      assert.match(error.message, says);
      return true;
    });
  });
}

Deno.test("definedNetwork() refuses hostile text with a FieldError", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((each) => `{"type":"a","x":${JSON.stringify(each)}}`),
  );
  let taken = 0;
  fc.assert(
    fc.property(texts, (config) => {
      try {
        const { network } = definedNetwork({ ...metadata, config });
        taken++;
        assert.deepEqual(JSON.parse(JSON.stringify(network)), network);
      } catch (error) {
        assert.ok(error instanceof FieldError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
  assert.ok(taken > 0, "nothing was taken");
});
