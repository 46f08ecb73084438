import assert from "node:assert/strict";
import { anAttachment, FakeJournal, settle } from "../../../tests/support/agent_fakes.ts";
import type { ClaimRecord } from "../model.ts";
import { ClaimStore } from "./store.ts";

function record(pods: readonly string[]): ClaimRecord {
  return {
    claim: { namespace: "default", name: "a", uid: "uid-a" },
    pods: pods.map((name) => ({ name, uid: `uid-${name}` })),
    shareable: true,
    attachments: [anAttachment("net1")],
  };
}

/** A store with one record, of which the next write fails when it is told to. */
async function setUp() {
  const journal = new FakeJournal();
  const claims = new ClaimStore(journal);
  await claims.put(record(["p"]));
  const fail = Promise.withResolvers<void>();
  journal.before = async (change) => {
    if (change !== "putClaim") return;
    await fail.promise;
    throw new Error("no space left on device");
  };
  const put = assert.rejects(claims.put(record(["p", "q"])), /no space left/);
  await settle();
  return { journal, claims, put, fail: () => fail.resolve() };
}

Deno.test("ClaimStore.put() that fails leaves the record as it was", async () => {
  const { claims, put, fail } = await setUp();
  assert.equal(claims.ofPod("uid-q").length, 1);
  fail();
  await put;
  assert.deepEqual(claims.get("uid-a"), record(["p"]));
  assert.deepEqual(claims.ofPod("uid-q"), []);
});

Deno.test("ClaimStore.put() that fails brings nothing back that went meanwhile", async () => {
  const { claims, put, fail } = await setUp();
  await claims.remove("uid-a");
  fail();
  await put;
  assert.deepEqual(claims.all(), []);
  assert.deepEqual([...claims.ofPod("uid-p"), ...claims.shareableIn("default")], []);
});
