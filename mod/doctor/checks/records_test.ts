import assert from "node:assert/strict";
import type { AttachmentSnapshot } from "../../agent/snapshot/snapshot.ts";
import { rawClaim, rawCluster, rawPod } from "../../../tests/support/cluster_objects.ts";
import { anAgentDocument, seenOf } from "../../../tests/support/doctor_scene.ts";
import { anAttachmentSnapshot } from "../../../tests/support/status_documents.ts";
import { checkRecords } from "./records.ts";

const POD = rawPod("web", { claims: [{ name: "lan", resourceClaimName: "lan" }], running: true });
const CLAIM = rawClaim("lan", { node: "node-1" });
const uidOf = ({ metadata }: Record<string, unknown>) => (metadata as { uid: string }).uid;

/** What an agent has on record for a pod with a claim. */
function recorded(pod: string, claim: string, more: Partial<AttachmentSnapshot> = {}) {
  const held = { namespace: "default", name: "lan", uid: claim };
  const attachment = anAttachmentSnapshot("default/web", {
    pod: { namespace: "default", name: "web", uid: pod },
    claim: held,
    ...more,
  });
  const { state } = attachment;
  const claims = [{ ...held, state, pods: ["web"], devices: ["cni"], attachments: 1 }];
  return anAgentDocument("node-1", { attachments: [attachment], claims });
}

const withRecord = (document: ReturnType<typeof recorded>, more = {}) =>
  seenOf({
    cluster: rawCluster({ pods: [POD], resourceclaims: [CLAIM] }),
    documents: { "node-1": document, "node-2": anAgentDocument("node-2") },
    ...more,
  });

Deno.test("checkRecords() finds nothing where pods and claims of all records are there", async () => {
  const { findings, unknown, well } = checkRecords(
    await withRecord(recorded(uidOf(POD), uidOf(CLAIM))),
  );
  assert.deepEqual([findings, unknown], [[], []]);
  assert.match(well!, /all that 2 agents have on record/);
});

Deno.test("checkRecords() names records of a pod and a claim that are gone, or were replaced", async () => {
  const { findings } = checkRecords(await withRecord(recorded("an-earlier-one", "gone")));
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [
    ["warning", "node node-1"],
    ["warning", "node node-1"],
  ]);
  assert.match(findings[0]!.what, /pod default\/web, which is gone: network "lan" on net1/);
  assert.match(findings[1]!.what, /claim default\/lan, which is gone: the devices cni/);
});

Deno.test("checkRecords() does not mind what is being removed, or came after the list", async () => {
  const ending = await withRecord(recorded("gone", "gone", { state: "detaching" }));
  assert.deepEqual(checkRecords(ending).findings, []);
  // In the list there is another one, and then the one of the record.
  const seen = await withRecord(recorded("gone", uidOf(CLAIM)));
  const there = seen.records.map((each) => ({
    ...each,
    there: { state: "seen", value: true } as const,
  }));
  assert.deepEqual(checkRecords({ ...seen, records: there }).findings, []);
});

Deno.test("checkRecords() says what it could not look at", async () => {
  const document = recorded("gone", "gone");
  const unlisted = checkRecords(await withRecord(document, { forbidden: ["pods"] }));
  assert.deepEqual(unlisted.findings, []);
  assert.equal(unlisted.well, undefined);
  const silent = checkRecords(await seenOf({ forbidden: ["exec"] }));
  assert.match(silent.unknown[0]!.why, /no agent tells them of nodes node-1, node-2/);
  assert.equal(silent.well, undefined);
  const seen = await withRecord(document, { forbidden: ["web"] });
  assert.match(checkRecords(seen).unknown[0]!.what, /whether pod default\/web is there/);
});

Deno.test("checkRecords() names leases that no sandbox has", async () => {
  const lease = (address: string) => ({
    network: "lan",
    address,
    sandbox: "0af3",
    path: `/var/lib/cni/networks/lan/${address}`,
  });
  const leases = [lease("10.0.0.7"), lease("10.0.0.8")];
  const { findings } = checkRecords(await withRecord(anAgentDocument("node-1", { leases })));
  assert.deepEqual(findings.map(({ level, where }) => [level, where]), [[
    "warning",
    "node node-1",
  ]]);
  assert.match(findings[0]!.what, /holds the address 10\.0\.0\.7 and 1 more of the network "lan"/);
  assert.match(findings[0]!.whatToDo, /delete the file: .*networks\/lan\/10\.0\.0\.7$/);
});
