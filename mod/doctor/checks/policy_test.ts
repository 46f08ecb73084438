import assert from "node:assert/strict";
import {
  rawClass,
  rawCluster,
  rawNetwork,
  rawTemplate,
} from "../../../tests/support/cluster_objects.ts";
import { anAgentDocument, seenOf } from "../../../tests/support/doctor_scene.ts";
import { checkPolicy } from "./policy.ts";

function network(plugin: Record<string, unknown>) {
  const config = { cniVersion: "1.0.0", name: "lan", plugins: [plugin] };
  return { ...rawNetwork("lan"), config };
}

const withTemplate = (plugin: Record<string, unknown>) =>
  rawCluster({ resourceclaimtemplates: [rawTemplate("lan", { parameters: network(plugin) })] });

const MACVLAN = { type: "macvlan", master: "eth1" };

Deno.test("checkPolicy() finds nothing where agents accept classes and templates", async () => {
  const { findings, unknown, well } = checkPolicy(await seenOf({ cluster: withTemplate(MACVLAN) }));
  assert.deepEqual([findings, unknown], [[], []]);
  assert.equal(well, "agents accept 0 classes with a network and 1 template");
});

Deno.test("checkPolicy() names what the policy refuses, and on which nodes", async () => {
  const { findings } = checkPolicy(await seenOf({ cluster: withTemplate({ type: "portmap" }) }));
  assert.equal(findings.length, 1);
  assert.equal(findings[0]!.where, "ResourceClaimTemplate default/lan");
  assert.match(findings[0]!.what, /nodes node-1, node-2 does not accept it: .*refused by policy/);
  const documents = {
    "node-1": anAgentDocument("node-1", { policy: { plugins: { macvlan: false } } }),
    "node-2": anAgentDocument("node-2"),
  };
  const one = checkPolicy(await seenOf({ cluster: withTemplate(MACVLAN), documents }));
  assert.equal(one.findings.length, 1);
  assert.match(one.findings[0]!.what, /agent of node node-1 does not accept it/);
  assert.match(one.findings[0]!.whatToDo, /change the setting of the policy/);
});

Deno.test("checkPolicy() names a class that no agent accepts", async () => {
  const parameters = { ...rawNetwork("lan"), kind: "Netwrok" };
  const cluster = rawCluster({ deviceclasses: [rawClass("broken", parameters)] });
  const { findings: [found] } = checkPolicy(await seenOf({ cluster }));
  assert.equal(found?.where, "DeviceClass broken");
  assert.match(found!.what, /kind: "Netwrok" is unknown/);
  assert.match(found!.whatToDo, /correct the field/);
});

Deno.test("checkPolicy() says whose policy it does not know", async () => {
  const { unknown, well } = checkPolicy(await seenOf({ forbidden: ["exec", "deviceclasses"] }));
  assert.deepEqual(unknown.map(({ what }) => what), [
    "what agents say of objects of the kind DeviceClass",
    "the policy on nodes node-1, node-2",
  ]);
  assert.equal(well, undefined);
  const newer = { "node-1": anAgentDocument("node-1", { policy: { later: true } }) };
  const strange = checkPolicy(await seenOf({ documents: newer }));
  assert.match(strange.unknown[0]!.why, /policy\.later: is unknown/);
});
