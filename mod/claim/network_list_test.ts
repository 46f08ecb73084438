import assert from "node:assert/strict";
import fc from "fast-check";
import { FieldError } from "./field.ts";
import { parseNetworkList } from "./network_list.ts";

const macvlan = { type: "macvlan", master: "eth0" };

Deno.test("parseNetworkList() reads lists and single configurations", async (t) => {
  const cases: Record<string, { given: unknown; gives: unknown }> = {
    "a list": {
      given: { cniVersion: "1.0.0", name: "n", plugins: [macvlan, { type: "tuning" }] },
      gives: { cniVersion: "1.0.0", name: "n", plugins: [macvlan, { type: "tuning" }] },
    },
    "a single plugin as a list of one": {
      given: { cniVersion: "0.4.0", name: "n", ...macvlan },
      gives: {
        cniVersion: "0.4.0",
        name: "n",
        plugins: [{ cniVersion: "0.4.0", name: "n", ...macvlan }],
      },
    },
    "no version as 0.1.0": {
      given: { name: "n", plugins: [macvlan] },
      gives: { cniVersion: "0.1.0", name: "n", plugins: [macvlan] },
    },
    "the highest of the versions that is known": {
      given: {
        cniVersion: "0.3.1",
        cniVersions: ["1.0.0", "9.9.9"],
        name: "n",
        plugins: [macvlan],
      },
      gives: { cniVersion: "1.0.0", name: "n", plugins: [macvlan] },
    },
    "cniVersions alone": {
      given: { cniVersions: ["0.3.1", "1.1.0", "1.0.0"], name: "n", plugins: [macvlan] },
      gives: { cniVersion: "1.1.0", name: "n", plugins: [macvlan] },
    },
    "flags as booleans and as their names": {
      given: {
        cniVersion: "1.1.0",
        name: "n",
        disableCheck: "True",
        disableGC: false,
        loadOnlyInlinedPlugins: "false",
        plugins: [macvlan],
      },
      gives: {
        cniVersion: "1.1.0",
        name: "n",
        disableCheck: true,
        disableGC: false,
        plugins: [macvlan],
      },
    },
    "a plugin's own keys": {
      given: { cniVersion: "1.0.0", name: "n.1_x-y", plugins: [{ type: "x", a: { b: [1] } }] },
      gives: { cniVersion: "1.0.0", name: "n.1_x-y", plugins: [{ type: "x", a: { b: [1] } }] },
    },
  };
  for (const [name, { given, gives }] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(parseNetworkList(given, "config"), gives));
  }
});

Deno.test("parseNetworkList() names the path of what is wrong and what is allowed", async (t) => {
  const list = (more: object) => ({ cniVersion: "1.0.0", name: "n", plugins: [macvlan], ...more });
  const cases: Record<string, { given: unknown; path: string; says: RegExp }> = {
    "text": { given: "{}", path: "config", says: /must be an object, not a string/ },
    "a number": { given: 1, path: "config", says: /must be an object, not 1/ },
    "nothing": { given: null, path: "config", says: /must be an object, not null/ },
    "no name": { given: list({ name: undefined }), path: "config.name", says: /missing/ },
    "a name that is a number": { given: list({ name: 1 }), path: "config.name", says: /not 1/ },
    "a name with a slash": { given: list({ name: "a/b" }), path: "config.name", says: /letters/ },
    "a name that begins with a dot": {
      given: list({ name: ".." }),
      path: "config.name",
      says: /begin/,
    },
    "an unknown version": {
      given: list({ cniVersion: "2.0.0" }),
      path: "config.cniVersion",
      says: /"2\.0\.0" is unknown; must be one of 0\.1\.0, .*1\.1\.0/,
    },
    "versions that are all unknown": {
      given: list({ cniVersion: undefined, cniVersions: ["2.0.0"] }),
      path: "config.cniVersions",
      says: /unknown/,
    },
    "no plugins": { given: list({ plugins: [] }), path: "config.plugins", says: /at least one/ },
    "plugins that are not a list": {
      given: list({ plugins: {} }),
      path: "config.plugins",
      says: /list/,
    },
    "neither plugins nor type": {
      given: { cniVersion: "1.0.0", name: "n" },
      path: "config",
      says: /"plugins" .* or "type"/,
    },
    "a plugin without a type": {
      given: list({ plugins: [macvlan, {}] }),
      path: "config.plugins[1].type",
      says: /missing/,
    },
    "an empty type": {
      given: list({ plugins: [{ type: "" }] }),
      path: "config.plugins[0].type",
      says: /not ""/,
    },
    "a type that is a path": {
      given: list({ plugins: [{ type: "../../bin/sh" }] }),
      path: "config.plugins[0].type",
      says: /not a path/,
    },
    "an IPAM type that is a path": {
      given: list({ plugins: [{ type: "macvlan", ipam: { type: "a/b" } }] }),
      path: "config.plugins[0].ipam.type",
      says: /not a path/,
    },
    "a capability that is not a boolean": {
      given: list({ plugins: [{ type: "x", capabilities: { mac: "yes" } }] }),
      path: "config.plugins[0].capabilities.mac",
      says: /true or false/,
    },
    "an unknown key of the list": {
      given: list({ pluginz: 1 }),
      path: "config.pluginz",
      says: /is unknown; must be one of cniVersion/,
    },
    "a flag that is not a boolean": {
      given: list({ disableCheck: "maybe" }),
      path: "config.disableCheck",
      says: /true or false/,
    },
  };
  for (const [name, { given, path, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => parseNetworkList(given, "config"), (error: unknown) => {
        assert.ok(error instanceof FieldError);
        assert.equal(error.path, path);
        assert.match(error.message, says);
        return true;
      });
    });
  }
});

Deno.test("parseNetworkList() meets any input with a list or a FieldError", () => {
  const keys = fc.constantFrom("cniVersion", "cniVersions", "name", "plugins", "type", "ipam", "x");
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      fc.constantFrom("1.0.0", "n", "macvlan", "", "a/b", null, 0, true),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(keys, tie("value")),
    ),
  }));
  fc.assert(
    fc.property(value, (given) => {
      try {
        const { name, plugins } = parseNetworkList(given, "config");
        assert.ok(name.length > 0 && plugins.length > 0);
        assert.ok(plugins.every(({ type }) => type !== "" && !type.includes("/")));
      } catch (error) {
        if (!(error instanceof FieldError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("parseNetworkList() bounds names and the length of a chain", () => {
  const cases: Record<string, unknown> = {
    "a long name": { name: "n".repeat(256), type: "x" },
    "a long type": { name: "n", type: "x".repeat(256) },
    "a long IPAM type": { name: "n", type: "x", ipam: { type: "é".repeat(128) } },
    "many plugins": { name: "n", plugins: Array.from({ length: 33 }, () => ({ type: "x" })) },
  };
  for (const [name, given] of Object.entries(cases)) {
    assert.throws(() => parseNetworkList(given, "config"), FieldError, name);
  }
  const most = { name: "n".repeat(255), plugins: Array(32).fill({ type: "x".repeat(255) }) };
  assert.equal(parseNetworkList(most, "config").plugins.length, 32);
});
