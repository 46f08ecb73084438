import assert from "node:assert/strict";
import { FakeCdi, FakeClock, FakeLog, settle } from "../../../tests/support/agent_fakes.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { ClaimAccess } from "./claim_access.ts";
import { ContainerAdmission } from "./container_admission.ts";

const claim = { namespace: "default", name: "a", uid: "uid-a" };
const PODS = 2_000;

/** A claim that so many pods share, and how often its pods were gone through. */
function setUp() {
  const count = { metadata: 0, looked: 0 };
  const pods = Array.from({ length: PODS }, () => ({
    stopped: false,
    ready: false,
    get entries() {
      return this.of();
    },
    of() {
      count.looked++;
      return [{ claim, wanted: true, ready: this.ready }];
    },
  }));
  const files = new FakeCdi();
  const ports = { files, clock: new FakeClock(), log: new FakeLog() };
  const access = new ClaimAccess({
    sandboxes: { all: () => pods, withClaim: () => pods } as unknown as Sandboxes,
    admission: new ContainerAdmission(ports),
    prepared: () => [{ claim }],
    isPrepared: () => true,
    metadata: () => {
      count.metadata++;
      return { claim, devices: [] };
    },
  });
  return { access, pods, files, count };
}

Deno.test("ClaimAccess.update() builds no metadata while containers keep waiting", async () => {
  const { access, pods, files, count } = setUp();
  for (let i = 0; i < pods.length; i++) access.update(claim);
  await settle();
  assert.deepEqual(files.shown, ["uid-a"]);
  assert.equal(count.metadata, 1);
});

Deno.test("ClaimAccess.update() looks no further than the first pod that has its networks", async () => {
  const { access, pods, files, count } = setUp();
  for (const pod of pods) {
    pod.ready = true;
    access.update(claim);
  }
  await settle();
  assert.deepEqual(files.shown, ["uid-a+"]);
  assert.equal(count.looked, PODS);
});

Deno.test("ClaimAccess.setRuntimeAway() and close() build a claim's metadata once for all its pods", async () => {
  const { access, pods, files, count } = setUp();
  pods[0]!.ready = true;
  access.setRuntimeAway(false);
  await settle();
  assert.equal(count.metadata, 1);
  await access.close();
  await settle();
  assert.equal(count.metadata, 2);
  assert.deepEqual(files.shown, ["(uid-a)+"]);
});
