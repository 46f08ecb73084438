import assert from "node:assert/strict";
import { FakeCdi, FakeClock, FakeLog, settle } from "../../tests/support/agent_fakes.ts";
import { CdiMarks } from "./cdi_marks.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };

function setUp() {
  const files = new FakeCdi();
  const clock = new FakeClock();
  const log = new FakeLog();
  return { files, clock, log, marks: new CdiMarks({ files, clock, log }) };
}

Deno.test("CdiMarks.set() brings the file to the last wish", async () => {
  const { files, marks } = setUp();
  for (const there of [true, false, true, true, false, true]) void marks.set(claim, there);
  await settle();
  assert.deepEqual([...files.files], ["uid-a"]);
  await marks.set(claim, false);
  assert.deepEqual([...files.files], []);
});

Deno.test("CdiMarks.set() tries again until the file is written", async () => {
  const { files, clock, log, marks } = setUp();
  const write = files.write.bind(files);
  let full = true;
  files.write = (ref) => full ? Promise.reject(new Error("no space left")) : write(ref);
  void marks.set(claim, true);
  await clock.advance(5000);
  full = false;
  await clock.advance(10_000);
  assert.deepEqual([...files.files], ["uid-a"]);
  assert.equal(log.lines.filter((line) => line.startsWith("warn")).length, 1);
});

Deno.test("CdiMarks.removeOthers() keeps the files in use", async () => {
  const { files, marks } = setUp();
  files.files.add("uid-a").add("uid-stale");
  await marks.removeOthers(new Set(["uid-a"]));
  assert.deepEqual([...files.files], ["uid-a"]);
});

Deno.test("CdiMarks.close() ends the tries", async () => {
  const { files, clock, marks } = setUp();
  files.write = () => Promise.reject(new Error("no space left"));
  void marks.set(claim, true);
  await clock.advance(1000);
  await marks.close();
});
