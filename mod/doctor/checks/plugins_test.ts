import assert from "node:assert/strict";
import {
  DRIVER,
  rawClass,
  rawCluster,
  rawNetwork,
  rawSlice,
  rawTemplate,
} from "../../../tests/support/cluster_objects.ts";
import { seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkPlugins } from "./plugins.ts";

/** A class with a network of macvlan and host-local. */
function storage(selector?: string) {
  const network = rawNetwork("storage");
  const ipam = { type: "host-local", subnet: "10.0.0.0/24" };
  const config = { cniVersion: "1.0.0", name: "storage", plugins: [{ type: "macvlan", ipam }] };
  const made = rawClass("storage", { ...network, config });
  const spec = made.spec as { selectors: unknown[] };
  if (selector !== undefined) spec.selectors.push({ cel: { expression: selector } });
  return made;
}

const withClasses = (deviceclasses: Record<string, unknown>[], more = {}) =>
  seenOf({ cluster: rawCluster({ deviceclasses, ...more }) });

/** On node-2 host-local is missing. */
const SLICES = [rawSlice("node-1"), rawSlice("node-2", ["eth1"], { plugins: ["macvlan"] })];

Deno.test("checkPlugins() finds nothing where all nodes have the plugins", async () => {
  const { findings, unknown, well } = checkPlugins(await withClasses([storage()]));
  assert.deepEqual([findings, unknown], [[], []]);
  assert.match(well!, /plugins of 1 network of/);
});

Deno.test("checkPlugins() names a plugin, also of IPAM, that a node lacks on which pods can land", async () => {
  const { findings } = checkPlugins(await withClasses([storage()], { resourceslices: SLICES }));
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [[
    "warning",
    "node node-2",
  ]]);
  assert.match(
    findings[0]!.what,
    /plugin host-local is missing, which the network "storage" of DeviceClass storage needs: a pod/,
  );
  assert.match(
    findings[0]!.whatToDo,
    /attributes\["dra\.networking"\]\.\?plugin_host_local\.orValue\(false\)/,
  );
});

Deno.test("checkPlugins() does not mind nodes that the selectors leave out", async () => {
  const selector = `device.attributes["${DRIVER}"].?plugin_host_local.orValue(false)`;
  const cluster = await withClasses([storage(selector)], { resourceslices: SLICES });
  assert.deepEqual(checkPlugins(cluster).findings, []);
});

Deno.test("checkPlugins() says that no node has a plugin, or a device", async () => {
  const bare = [rawSlice("node-1", ["eth1"], { plugins: [] })];
  const none = checkPlugins(await withClasses([storage()], { resourceslices: bare }));
  assert.equal(none.findings[0]?.level, "error");
  assert.match(none.findings[0]!.what, /macvlan, host-local is missing, .*: no pod gets it/);
  const nowhere = storage(`device.attributes["${DRIVER}"].type == "nosuch"`);
  const { findings: [found] } = checkPlugins(await withClasses([nowhere]));
  assert.equal(found?.level, "note");
  assert.match(found!.what, /no device of any node satisfies its selectors/);
});

Deno.test("checkPlugins() looks at templates by their classes", async () => {
  const parameters = rawNetwork("fast", "sriov");
  const cluster = rawCluster({ resourceclaimtemplates: [rawTemplate("fast", { parameters })] });
  const { findings: [found] } = checkPlugins(await seenOf({ cluster }));
  assert.match(found!.what, /sriov is missing, .* "fast" of ResourceClaimTemplate default\/fast/);
});

Deno.test("checkPlugins() looks at one node where that is asked for", async () => {
  const cluster = rawCluster({ deviceclasses: [storage()], resourceslices: SLICES });
  assert.deepEqual(checkPlugins(await seenOf({ cluster }, { node: "node-1" })).findings, []);
  assert.equal(checkPlugins(await seenOf({ cluster }, { node: "node-2" })).findings.length, 1);
});

Deno.test("checkPlugins() says what it does not know", async () => {
  const named = rawClass("lab", { networkName: "lab" });
  assert.match(
    checkPlugins(await withClasses([named])).unknown[0]!.what,
    /whether nodes have the administrator's network "lab"/,
  );
  const strange = checkPlugins(await withClasses([storage("isIP(device.driver)")]));
  assert.match(strange.unknown[0]!.why, /a selector is not evaluated: isIP\(\) is not evaluated/);
  const many = Array.from({ length: 21 }, (_, i) => `p${i}`);
  const full = [rawSlice("node-1", [], { plugins: many })];
  const cut = checkPlugins(await withClasses([storage()], { resourceslices: full }));
  assert.deepEqual(cut.findings, []);
  assert.match(cut.unknown[0]!.why, /publishes 21 plugins and has more/);
  const { unknown, well } = checkPlugins(await seenOf({ forbidden: ["resourceslices"] }));
  assert.equal(unknown[0]?.what, "the plugins on nodes");
  assert.equal(well, undefined);
});
