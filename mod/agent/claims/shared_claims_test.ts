import assert from "node:assert/strict";
import { anAttachment, aSandbox, fakePorts, settle } from "../../../tests/support/agent_fakes.ts";
import { ClaimStore } from "./store.ts";
import { SharedClaims } from "./shared_claims.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };

/** A claim as the API server has it, reserved for pods. */
function reserved(pods: readonly string[], uid = "uid-a") {
  return {
    metadata: { namespace: "default", name: "a", uid },
    status: { reservedFor: pods.map((name) => ({ resource: "pods", name, uid: `uid-${name}` })) },
  };
}

/** The claim was prepared for the pod p, and may be shared. */
async function setUp() {
  const ports = fakePorts();
  const claims = new ClaimStore(ports.journal);
  const pods = [{ name: "p", uid: "uid-p" }];
  const attachments = [anAttachment("net1")];
  await claims.put({ claim, pods, shareable: true, attachments });
  const shared = new SharedClaims(ports, claims);
  const found: string[] = [];
  const look = (pod: string) =>
    shared.look(aSandbox(pod), (record) => void found.push(`${record.claim.uid} for ${pod}`));
  const podsOf = () => claims.get("uid-a")!.pods.map(({ name }) => name);
  return { ...ports, claims, shared, look, found, podsOf };
}

Deno.test("pods that come at once put the claim that they share on record once", async () => {
  const { cluster, journal, look, found } = await setUp();
  let [writes, under, most] = [0, 0, 0];
  journal.before = async () => {
    writes++;
    most = Math.max(most, ++under);
    await settle();
    under--;
  };
  cluster.claims.set("default/a", reserved(["p", "q", "r", "s"]));
  for (const pod of ["q", "r", "s"]) look(pod);
  for (let i = 0; i < 5; i++) await settle();
  assert.deepEqual(found, ["uid-a for q", "uid-a for r", "uid-a for s"]);
  assert.deepEqual({ writes, most }, { writes: 1, most: 1 });
});

Deno.test("an answer that comes late takes no pod off the record", async () => {
  const { cluster, look, found, podsOf } = await setUp();
  const late = Promise.withResolvers<void>();
  const getClaim = cluster.getClaim.bind(cluster);
  cluster.claims.set("default/a", reserved(["p", "q"]));
  cluster.getClaim = async (ref) => {
    const answer = await getClaim(ref);
    cluster.getClaim = getClaim;
    await late.promise;
    return answer;
  };
  look("q");
  await settle();
  cluster.claims.set("default/a", reserved(["p", "q", "r"]));
  look("r");
  await settle();
  late.resolve();
  await settle();
  assert.deepEqual(found.toSorted(), ["uid-a for q", "uid-a for r"]);
  assert.deepEqual(podsOf(), ["p", "q", "r"]);
});

Deno.test("a claim that was made anew by the same name is another one", async () => {
  const { cluster, look, found, podsOf } = await setUp();
  cluster.claims.set("default/a", reserved(["q"], "uid-new"));
  look("q");
  await settle();
  assert.deepEqual(found, []);
  assert.deepEqual(podsOf(), ["p"]);
});

Deno.test("a sandbox that stops while its claim is put on record gets nothing", async () => {
  const { cluster, journal, shared, look, found } = await setUp();
  const written = Promise.withResolvers<void>();
  journal.before = () => written.promise;
  cluster.claims.set("default/a", reserved(["p", "q"]));
  look("q");
  await settle();
  shared.forget("q");
  written.resolve();
  await settle();
  assert.deepEqual(found, []);
});

Deno.test("a pod that another one's look put on record gets its network too", async (t) => {
  const { cluster, clock, look, found, podsOf } = await setUp();
  cluster.claims.set("default/a", reserved(["p", "q", "r", "s"]));
  const getClaimNames = cluster.getClaimNames.bind(cluster);
  const slow = Promise.withResolvers<void>();
  cluster.getClaimNames = async (pod) => {
    if (pod.name === "q") await slow.promise;
    if (pod.name === "s" && clock.now().getMilliseconds() === 0) throw new Error("no answer");
    return getClaimNames(pod);
  };
  for (const pod of ["q", "r", "s"]) look(pod);
  await settle();
  assert.deepEqual(podsOf(), ["p", "q", "r", "s"]);
  await t.step("whose pod was read late", async () => {
    slow.resolve();
    await settle();
    assert.deepEqual(found, ["uid-a for r", "uid-a for q"]);
  });
  await t.step("whose pod could not be read at first", async () => {
    await clock.advance(300);
    assert.deepEqual(found, ["uid-a for r", "uid-a for q", "uid-a for s"]);
  });
});
