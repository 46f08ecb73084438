import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { ContainerSchema, ContainerState, PodSandboxSchema } from "../../proto/gen/nri/nri_pb.ts";
import type { Sandbox } from "../agent/model.ts";
import type { ActiveAgent } from "../agent/handover/active_agent.ts";
import type { ListedContainers } from "../agent/handover/known_sandboxes.ts";
import { nriHandlers } from "./nri_handlers.ts";

const ours = ["/etc/hosts", "/etc/network-dra/uid-a"];
const { CONTAINER_UNKNOWN, CONTAINER_CREATED, CONTAINER_PAUSED, CONTAINER_RUNNING } =
  ContainerState;
const { CONTAINER_STOPPED } = ContainerState;

Deno.test("synchronize() tells of sandboxes whose containers run, or may have run without networks", async (t) => {
  const cases: [string, ContainerState, string[], boolean][] = [
    ["that runs, with our mount", CONTAINER_RUNNING, ours, true],
    ["that is paused, with our mount", CONTAINER_PAUSED, ours, true],
    ["of no known state, with our mount", CONTAINER_UNKNOWN, ours, true],
    ["that ended or did not start, with our mount", CONTAINER_STOPPED, ours, false],
    ["that ended, without", CONTAINER_STOPPED, ["/etc/hosts"], true],
    ["that runs, without", CONTAINER_RUNNING, [], true],
    ["that was only created, with our mount", CONTAINER_CREATED, ours, false],
    ["that was only created, without", CONTAINER_CREATED, [], false],
  ];
  for (const [what, state, mounts, expected] of cases) {
    await t.step(`a container ${what}`, async () => {
      const told: string[] = [];
      const activeAgent = {
        synchronize: (_: unknown, { started, created }: ListedContainers) => {
          told.push(...started);
          assert.deepEqual([...created], state === CONTAINER_CREATED ? ["s1"] : []);
        },
      } as unknown as ActiveAgent;
      const container = create(ContainerSchema, {
        id: "c1",
        podSandboxId: "s1",
        state,
        mounts: mounts.map((destination) => ({ destination })),
      });
      const pod = create(PodSandboxSchema, { id: "s1" });
      await nriHandlers(activeAgent).synchronize([pod], [container]);
      assert.deepEqual(told, expected ? ["s1"] : []);
    });
  }
});

Deno.test("synchronize() tells sandboxes on the host's network from those that have ended or were never whole", async () => {
  const told: Sandbox[] = [];
  const activeAgent = {
    synchronize: (sandboxes: Sandbox[]) => void told.push(...sandboxes),
  } as unknown as ActiveAgent;
  const ipc = { type: "ipc", path: "/x" };
  const pods = [
    { id: "pod", linux: { namespaces: [ipc, { type: "network", path: "/y" }] }, pid: 8 },
    // CRI-O has no process for most sandboxes.
    { id: "bodiless", linux: { namespaces: [ipc, { type: "network", path: "/y" }] } },
    { id: "host", linux: { namespaces: [ipc] }, pid: 9 },
    { id: "ended", linux: { namespaces: [ipc] } },
    { id: "incomplete", linux: {} },
    { id: "bare" },
  ].map((pod) => create(PodSandboxSchema, pod));
  await nriHandlers(activeAgent).synchronize(pods, []);
  assert.deepEqual(told.map(({ id, incomplete }) => [id, incomplete]), [
    ["pod", undefined],
    ["bodiless", undefined],
    ["host", undefined],
    ["ended", true],
    ["incomplete", true],
    ["bare", true],
  ]);
});
