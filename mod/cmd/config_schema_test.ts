import assert from "node:assert/strict";
import { configSchema } from "./config_schema.ts";

const FILE = new URL("../../docs/config.schema.json", import.meta.url);

Deno.test("docs/config.schema.json is what the code says (deno task schema)", async () => {
  assert.deepEqual(
    JSON.parse(await Deno.readTextFile(FILE)),
    JSON.parse(JSON.stringify(configSchema())),
  );
});

Deno.test("configSchema() knows the fields of the plugins that are built in, and no others", () => {
  // deno-lint-ignore no-explicit-any -- a path through it
  const { $defs } = configSchema() as any;
  const { plugins } = $defs.settings.properties;
  const [, macvlan] = plugins.properties.macvlan.anyOf;
  assert.equal(macvlan.additionalProperties, false);
  assert.ok("master" in macvlan.properties && !("mster" in macvlan.properties));
  const [, sriov] = plugins.properties.sriov.anyOf;
  assert.ok("$ref" in sriov.additionalProperties);
});
