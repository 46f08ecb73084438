import assert from "node:assert/strict";
import { FakeCdi, FakeClock, FakeLog, settle } from "../../../tests/support/agent_fakes.ts";
import { ContainerAdmission, type Mark } from "./container_admission.ts";
import type { ClaimMetadata } from "../model.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };
const device = { request: "lan", pool: "node-1", device: "cni", attributes: {} };
const metadata: ClaimMetadata = { claim, devices: [device] };

function setUp() {
  const files = new FakeCdi();
  const clock = new FakeClock();
  const log = new FakeLog();
  const changes: string[] = [];
  files.before = (change) => void changes.push(change);
  return { files, clock, log, changes, marks: new ContainerAdmission({ files, clock, log }) };
}

/** As a full disk does to what is written, until told otherwise. */
function fill(files: FakeCdi, name: string): { full: boolean } {
  const disk = { full: true };
  files.before = (change) => {
    if (change === name && disk.full) throw new Error("cannot write x.attached: no space left");
  };
  return disk;
}

Deno.test("CdiMarks.set() brings the files to the last wish", async () => {
  const { files, marks } = setUp();
  for (const mark of ["wait", "none", "pass", "wait", "none", "pass"] as const) {
    void marks.set(claim, mark, () => metadata);
  }
  await settle();
  assert.deepEqual(files.shown, ["uid-a+"]);
  await marks.set(claim, "wait", () => metadata);
  assert.deepEqual(files.shown, ["uid-a"]);
  await marks.set(claim, "none", () => metadata);
  assert.deepEqual(files.shown, []);
});

Deno.test("CdiMarks.set() changes the files so that a crash in between leaves containers waiting", async (t) => {
  const cases: [Mark[], string[]][] = [
    [["wait"], ["refuseStart", "allowCreate"]],
    [["pass"], ["allowCreate", "allowStart"]],
    [["wait", "pass"], ["refuseStart", "allowCreate", "allowStart"]],
    [["pass", "wait"], ["allowCreate", "allowStart", "refuseStart", "allowCreate"]],
    [["none"], ["refuseCreate", "refuseStart"]],
    [["pass", "noNewContainers"], ["allowCreate", "allowStart", "refuseCreate"]],
  ];
  for (const [wishes, expected] of cases) {
    await t.step(wishes.join(", then "), async () => {
      const { changes, marks } = setUp();
      for (const mark of wishes) await marks.set(claim, mark, () => metadata);
      assert.deepEqual(changes, expected);
    });
  }
});

Deno.test("CdiMarks.set() lets containers read what changed, and writes nothing else anew", async () => {
  const { files, changes, marks } = setUp();
  await marks.set(claim, "wait", () => metadata);
  const networkData = { interfaceName: "net1", ips: ["10.0.0.2/24"] };
  const attached = { ...metadata, devices: [{ ...device, networkData }] };
  await marks.set(claim, "pass", () => attached);
  await marks.set(claim, "pass", () => structuredClone(attached));
  const moved = { ...networkData, ips: ["10.0.0.3/24"] };
  const repaired = { ...metadata, devices: [{ ...device, networkData: moved }] };
  await marks.set(claim, "pass", () => repaired);
  assert.deepEqual(changes, ["refuseStart", "allowCreate", "allowStart", "allowStart"]);
  assert.deepEqual(files.metadata.get(claim.uid), repaired);
});

Deno.test("CdiMarks.set() to drain leaves containers that were created as they are", async () => {
  const { files, marks } = setUp();
  await marks.set(claim, "pass", () => metadata);
  await marks.set(claim, "noNewContainers", () => metadata);
  assert.deepEqual(files.shown, ["(uid-a)+"]);
  await marks.set(claim, "wait", () => metadata);
  await marks.set(claim, "noNewContainers", () => metadata);
  assert.deepEqual(files.shown, []);
});

Deno.test("CdiMarks.set() tries again until the file is written", async () => {
  const { files, clock, log, marks } = setUp();
  const disk = fill(files, "allowCreate");
  void marks.set(claim, "wait", () => metadata);
  await clock.advance(5000);
  disk.full = false;
  await clock.advance(10_000);
  assert.deepEqual(files.shown, ["uid-a"]);
  assert.equal(log.lines.filter((line) => line.startsWith("warn")).length, 1);
});

Deno.test("CdiMarks.passes() waits for the file", async () => {
  const { files, clock, marks } = setUp();
  const disk = fill(files, "allowStart");
  void marks.set(claim, "wait", () => metadata);
  let passed = false;
  const passes = marks.passes(claim, new AbortController().signal).then(() => passed = true);
  void marks.set(claim, "pass", () => metadata);
  await clock.advance(1000);
  assert.equal(passed, false);
  disk.full = false;
  await clock.advance(10_000);
  await passes;
  assert.deepEqual(files.shown, ["uid-a+"]);
});

Deno.test("CdiMarks.passes() says which file could not be written when its time is over", async () => {
  const { files, clock, marks } = setUp();
  fill(files, "allowStart");
  const over = new AbortController();
  void marks.set(claim, "pass", () => metadata);
  await clock.advance(1000);
  const passes = marks.passes(claim, over.signal);
  over.abort();
  await assert.rejects(
    passes,
    /that name claim default\/a cannot start yet: cannot write x\.attached: no space left/,
  );
});

Deno.test("CdiMarks.removeOthers() keeps the files in use", async () => {
  const { files, marks } = setUp();
  for (const uid of ["uid-a", "uid-stale"]) files.specs.add(uid);
  for (const uid of ["uid-a", "uid-half"]) files.attached.add(uid);
  const other = { ...claim, uid: "uid-new" };
  void marks.set(other, "pass", () => ({ ...metadata, claim: other }));
  await marks.removeOthers(new Set(["uid-a"]));
  await settle();
  assert.deepEqual(files.shown, ["uid-a+", "uid-new+"]);
});

Deno.test("CdiMarks.removeOthers() removes files that it cannot remove now as soon as it can, and says so", async () => {
  const { marks, files, log, clock } = setUp();
  for (const uid of ["stuck", "old"]) files.specs.add(uid);
  let calls = 0;
  files.before = () => {
    if (calls++ === 0) throw new Error("not permitted");
  };
  await marks.removeOthers(new Set());
  await settle();
  assert.deepEqual(files.shown, ["stuck"]);
  const said = "warn cannot yet update the CDI files of claim stuck, which is not prepared";
  assert.ok(log.lines.some((line) => line.startsWith(said)), log.lines.join());
  await clock.advance(1_000);
  assert.deepEqual(files.shown, []);
});

Deno.test("CdiMarks.close() ends the tries", async () => {
  const { files, clock, marks } = setUp();
  fill(files, "allowCreate");
  void marks.set(claim, "wait", () => metadata);
  await clock.advance(1000);
  await marks.close();
});
