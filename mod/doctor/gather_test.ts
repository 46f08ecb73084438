import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { seenOf } from "../../tests/support/doctor_scene.ts";
import { nodeClock } from "./node_clock.ts";
import { nodesText } from "./nodes_text.ts";
import { AGENT_RIGHTS, describeRight, type Right, statusRights } from "./rights.ts";
import { compareVersions, minorOf, versionOf } from "./versions.ts";

Deno.test("gather() reads the API, gates, accounts, policies, agents and clocks", async () => {
  const seen = await seenOf();
  assert.deepEqual(seen.api, {
    state: "seen",
    value: { version: "v1.36.2", resourceVersions: ["v1", "v1beta2"], clockAhead: 500 },
  });
  assert.ok(seen.gates.state === "seen");
  assert.equal(seen.gates.value.get("DRAConsumableCapacity"), true);
  assert.deepEqual(seen.accounts.map(({ account }) => account), [
    { namespace: "kube-system", name: "network-dra" },
  ]);
  assert.equal(seen.installRights, undefined);
  assert.deepEqual(seen.agents.map(({ node, told }) => [node, told.state]), [
    ["node-1", "told"],
    ["node-2", "told"],
  ]);
  assert.ok(seen.admission.state === "seen");
  assert.deepEqual(seen.admission.value.map(({ name, enforced }) => [name, enforced]), [
    ["network-dra", true],
    ["network-dra-events", true],
  ]);
  assert.ok(seen.clocks.state === "seen");
  assert.equal(seen.clocks.value.length, 2);
});

Deno.test("gather() asks the agent of one node where that is wanted", async () => {
  const { agents } = await seenOf({}, { node: "node-2" });
  assert.deepEqual(agents.map(({ node }) => node), ["node-2"]);
});

Deno.test("the rights that are looked at are those of the chart's ClusterRole", async () => {
  const file = new URL("../../deploy/manifests/network-dra.yaml", import.meta.url);
  const role = parseAllDocuments(await Deno.readTextFile(file)).map((each) => each.toJS())
    .find(({ kind }) => kind === "ClusterRole");
  const given = role.rules.flatMap((
    { apiGroups: [group], resources, verbs, resourceNames: [name] = [] }: {
      readonly apiGroups: readonly [string];
      readonly resources: readonly string[];
      readonly verbs: readonly string[];
      readonly resourceNames?: readonly string[];
    },
  ) =>
    resources.flatMap((each) => {
      const [resource = "", subresource] = each.split("/");
      return verbs.map((verb) =>
        `${group} ${describeRight({ group, resource, subresource, verb, name, needed: "" })}`
      );
    })
  );
  const asked = [...AGENT_RIGHTS, ...statusRights("dra.networking")]
    .map((each: Right) => `${each.group} ${describeRight(each)}`);
  assert.deepEqual(asked.toSorted(), given.toSorted());
});

Deno.test("nodeClock() compares the kubelet's time with the API server's", () => {
  const lease = (time: string | undefined, renewTime: string | undefined) =>
    nodeClock({
      metadata: { name: "a", managedFields: [{ manager: "other" }, { manager: "kubelet", time }] },
      spec: { renewTime },
    });
  assert.deepEqual(lease("2026-11-30T10:00:00Z", "2026-11-30T10:00:10.500000Z"), {
    node: "a",
    ahead: 10_000,
  });
  assert.equal(lease("2026-11-30T10:00:00Z", undefined), undefined);
  assert.equal(lease(undefined, "2026-11-30T10:00:00Z"), undefined);
  assert.equal(nodeClock({ metadata: { name: "a" } }), undefined);
});

Deno.test("versions are read and compared", () => {
  assert.deepEqual(versionOf("2.0.5-k3s1"), [2, 0]);
  assert.deepEqual(versionOf("v1.36.2+k3s1"), [1, 36]);
  assert.equal(versionOf("latest"), undefined);
  assert.equal(minorOf("v1.36.2"), 36);
  assert.equal(minorOf("v2.0.0"), undefined);
  assert.ok(compareVersions([1, 30], [2, 0]) < 0);
  assert.ok(compareVersions([1, 30], [1, 7]) > 0);
  assert.equal(compareVersions([1, 7], [1, 7]), 0);
});

Deno.test("nodesText() names some of many nodes", () => {
  assert.equal(nodesText(["a"]), "node a");
  const many = Array.from({ length: 13 }, (_, i) => `n${i}`);
  assert.equal(nodesText(many), "nodes n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 3 more");
});
