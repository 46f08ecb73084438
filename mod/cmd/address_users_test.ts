import assert from "node:assert/strict";
import { anAttachment, aSandbox, FakeNamespaces } from "../../tests/support/agent_fakes.ts";
import type { Agent } from "../agent/agent.ts";
import type { Sandbox } from "../agent/model.ts";
import { addressUsers } from "./address_users.ts";

const claim = { namespace: "default", name: "c", uid: "c1" };
const result = { cniVersion: "1.0.0" };

/** An agent that keeps these attachments of one sandbox, by their phases. */
function agentWith(phases: readonly string[]): Agent {
  const sandbox = aSandbox("s1");
  const attachments = phases.map((phase, i) => ({
    view: {
      claim,
      attachment: anAttachment(`net${i}`),
      phase,
      wanted: phase !== "detaching",
      attached: { result },
    },
  }));
  return {
    look: () => ({ claims: [], refused: [], sandboxes: [{ sandbox, attachments }] }),
  } as unknown as Agent;
}

Deno.test("addressUsers() knows nothing while the agent does not lead, or the runtime is away", () => {
  const agent = agentWith([]);
  const namespaces = new FakeNamespaces();
  assert.equal(addressUsers({ agent: undefined, sandboxes: [] }, namespaces), undefined);
  assert.equal(addressUsers({ agent, sandboxes: undefined }, namespaces), undefined);
});

Deno.test("addressUsers() names all attachments, and the results of those that are there to stay", () => {
  const agent = agentWith(["attached", "attaching", "detaching", "lost"]);
  const { attachments } = addressUsers({ agent, sandboxes: [] }, new FakeNamespaces())!;
  assert.deepEqual(attachments.map(({ owner }) => owner.ifName), ["net0", "net1", "net2", "net3"]);
  assert.deepEqual(attachments.map((each) => each.result), [
    result,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("addressUsers() counts a sandbox as ended whose end the runtime did not report", () => {
  const namespaces = new FakeNamespaces();
  const sandboxes: Sandbox[] = [
    aSandbox("lives"),
    aSandbox("gone"),
    { ...aSandbox("incomplete"), incomplete: true },
    aSandbox("unclear"),
  ];
  namespaces.gone.add("/var/run/netns/gone");
  const classify = (path: string) => {
    if (path.endsWith("unclear")) throw new Error("too many open files");
    return namespaces.classify(path);
  };
  const { lives } = addressUsers({ agent: agentWith([]), sandboxes }, { classify })!;
  const known = ["lives", "gone", "incomplete", "unclear", "never heard of"];
  assert.deepEqual(known.filter(lives), ["lives", "unclear"]);
});
