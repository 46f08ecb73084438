import assert from "node:assert/strict";
import { rawClaim, rawCluster, rawPod, rawTemplate } from "../../tests/support/cluster_objects.ts";
import { SCENES } from "../../tests/support/cluster_scenes.ts";
import { pictureFrom } from "../../tests/support/cluster_source.ts";
import { explainClaim, explainPod, STEPS } from "./explain.ts";

for (const { name, cluster, hangsAt, says = /^/, todo = /^/ } of SCENES) {
  Deno.test(`explainPod() of a pod: ${name}`, async () => {
    const picture = await pictureFrom(cluster);
    const [way, ...others] = explainPod(picture.pods[0]!, picture);
    assert.equal(others.length, 0);
    assert.deepEqual(way!.steps.map(({ name }) => name), STEPS);
    assert.equal(way!.hangsAt, hangsAt, JSON.stringify(way, null, 1));
    if (hangsAt === undefined) {
      assert.ok(way!.steps.every(({ outcome }) => outcome === "done"));
      assert.match(way!.steps.at(-1)!.text, /Ready: net1 10\.0\.0\.2\/24 02:00:00:00:00:01/);
      return;
    }
    const at = STEPS.indexOf(hangsAt);
    assert.ok(way!.steps.slice(0, at).every(({ outcome }) => outcome === "done"));
    assert.ok(way!.steps.slice(at + 1).every(({ outcome }) => outcome === "not-reached"));
    assert.match(way!.because ?? "", says);
    assert.match(way!.whatToDo ?? "", todo);
  });
}

/** The way of the claim of a pod that has not got one yet. */
async function wayWithout(claim: Record<string, unknown>, hasTemplate: boolean) {
  const pod = rawPod("web", { claims: [claim] });
  const templates = hasTemplate ? [rawTemplate("lan")] : [];
  const picture = await pictureFrom(rawCluster({ pods: [pod], resourceclaimtemplates: templates }));
  return explainPod(picture.pods[0]!, picture)[0]!;
}

Deno.test("explainPod() says that a claim is missing, or its template", async () => {
  const missing = await wayWithout({ name: "lan", resourceClaimName: "nosuch" }, true);
  assert.equal(missing.hangsAt, "claim");
  assert.equal(missing.steps[0]!.text, "there is no ResourceClaim default/nosuch");
  assert.match(missing.whatToDo!, /create it in the namespace default/);
  const made = await wayWithout({ name: "lan", resourceClaimTemplateName: "lan" }, true);
  assert.deepEqual([made.hangsAt, made.steps[0]!.outcome], ["claim", "waiting"]);
  const without = await wayWithout({ name: "lan", resourceClaimTemplateName: "nosuch" }, true);
  assert.equal(without.steps[0]!.text, "there is no ResourceClaimTemplate default/nosuch");
});

Deno.test("explainClaim() says that nobody uses a claim", async () => {
  const picture = await pictureFrom(rawCluster({ resourceclaims: [rawClaim("lan")] }));
  const { hangsAt, whatToDo } = explainClaim(picture.claims[0]!, picture);
  assert.deepEqual([hangsAt, whatToDo], ["allocation", "create a pod that names the claim"]);
});

Deno.test("explainPod() shows what it can without rights", async () => {
  const { cluster } = SCENES[0]!;
  const forbidden = ["nodes", "deviceclasses", "events"];
  const picture = await pictureFrom(cluster, { forbidden });
  const [way] = explainPod(picture.pods[0]!, picture);
  assert.equal(way!.hangsAt, undefined);
  assert.equal(way!.steps[1]!.outcome, "unknown");
});
