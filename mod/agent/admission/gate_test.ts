import assert from "node:assert/strict";
import { aSandbox, fakePorts } from "../../../tests/support/agent_fakes.ts";
import type { PodAttachments } from "../attachments/pod_attachments.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import type { ContainerAdmission } from "./container_admission.ts";
import { Gate } from "./gate.ts";

Deno.test("no container passes in a sandbox that is being detached, also when that ends before its claims are known", async () => {
  const stopping = {
    entries: [],
    ready: () => Promise.reject(new Error("sandbox s1 has stopped")),
  } as unknown as PodAttachments;
  const networks = new Map([["s1", stopping]]);
  const gate = new Gate(fakePorts(), {
    sandboxes: networks as unknown as Sandboxes,
    admission: { passes: () => Promise.resolve() } as unknown as ContainerAdmission,
    attach: () => {},
    claimsKnown: () => Promise.resolve(void networks.delete("s1")),
    assertPrepared: () => {},
  });
  const container = { cdiDevices: [], signal: new AbortController().signal };
  await assert.rejects(gate.pass(aSandbox("s1", "p"), container), /has stopped/);
  // The runtime tries again.
  await gate.pass(aSandbox("s1", "p"), container);
});
