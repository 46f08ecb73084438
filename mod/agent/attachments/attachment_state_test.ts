import assert from "node:assert/strict";
import { diagram, type Node, type Walk, walk } from "../../../tests/support/attachment_walk.ts";
import { hasResult, isGone, isReady, isRecorded, NEW, transition } from "./attachment_state.ts";

const DESIGN = new URL("../../../docs/design.md", import.meta.url);
const WALKS = new Map([["no containers", walk(false)], ["containers run", walk(true)]]);

/** Runs for each state that can be reached, and says which states break the rule. */
async function inEachState(
  t: Deno.TestContext,
  holds: (node: Node, all: Walk) => boolean,
): Promise<void> {
  for (const [name, all] of WALKS) {
    await t.step(name, () => {
      const wrong = [...all.nodes].filter(([, node]) => !holds(node, all)).map(([key]) => key);
      assert.deepEqual(wrong, []);
    });
  }
}

Deno.test("every state that events can reach is one that the events in it leave without an error", () => {
  const sizes = [...WALKS.values()].map(({ nodes, edges }) => [nodes.size, edges.length]);
  // The walk throws where an event cannot be taken; that it went far is seen here.
  assert.ok(sizes.every(([states = 0, moves = 0]) => states > 150 && moves > 1000), `${sizes}`);
});

Deno.test("ADD begins only when the intent is on record", (t) =>
  inEachState(t, ({ state, running }) => running?.kind !== "add" || isRecorded(state.situation)));

Deno.test("what may be in the pod is on record, but for what has just been found without one", (t) =>
  inEachState(t, ({ state: { situation } }) => {
    switch (situation.kind) {
      case "adding":
      case "failed":
      case "leftover":
        return isRecorded(situation);
      case "there":
      case "lost":
      case "repairing":
        return isRecorded(situation) || situation.record === "none";
      default:
        return true;
    }
  }));

Deno.test("containers start only with the result on disk", (t) =>
  inEachState(t, ({ state }) =>
    !isReady(state) ||
    "record" in state.situation && ["older", "result"].includes(state.situation.record)));

Deno.test("DEL sees the namespace only where the interface is ours", (t) =>
  inEachState(t, ({ state: { situation }, running }) => {
    if (running?.kind !== "del" || running.namespace === "none") return true;
    if (situation.kind === "failed") return !situation.foreign;
    return situation.kind !== "unknown" || situation.record !== "none";
  }));

Deno.test("before a DEL that must not see the namespace, that is on record, or the disk takes nothing", (t) =>
  inEachState(
    t,
    ({ state: { situation }, running }) =>
      running?.kind !== "del" || situation.kind !== "failed" || !situation.foreign ||
      situation.record !== "begun",
  ));

Deno.test("what a failed DEL may have undone in part is never taken as intact", async (t) => {
  for (const [name, { edges }] of WALKS) {
    await t.step(name, () => {
      for (const { from: { state }, by, to } of edges) {
        if (by.kind !== "del_failed" || state.desired.kind !== "present") continue;
        assert.ok(!hasResult(to.state.situation), state.situation.kind);
      }
    });
  }
});

Deno.test("a record goes only after DEL, or before ADD has begun", async (t) => {
  for (const [name, { edges }] of WALKS) {
    await t.step(name, () => {
      for (const { from, by } of edges) {
        if (by.kind !== "record_removed") continue;
        assert.match(from.state.situation.kind, /^(intended|undone)$/);
      }
    });
  }
});

Deno.test("what is to go is never attached, looked for, or repaired", async (t) => {
  for (const [name, { edges }] of WALKS) {
    await t.step(name, () => {
      for (const { from: { state }, by } of edges) {
        if (state.desired.kind === "present" || by.kind !== "begin") continue;
        assert.match(by.effect.kind, /^(del|remove_record|record_failure)$/);
      }
    });
  }
});

Deno.test("from every state what is wanted can come to be there, and what is not can come to be gone", (t) =>
  inEachState(t, (node, all) => {
    const { desired } = node.state;
    return reaches(
      all,
      node,
      ({ state }) =>
        desired.kind === "present"
          ? state.situation.kind === "there" && state.situation.record === "result"
          : isGone(state),
      ["unwanted", "given_up", "del_failed"],
    );
  }));

Deno.test("what was given up goes even if every DEL fails", (t) =>
  inEachState(t, (node, all) =>
    node.state.desired.kind !== "given_up" ||
    reaches(all, node, ({ state }) => isGone(state), ["unwanted", "del_succeeded"])));

/** Whether some way of events, without those named, leads from a state to one that is as wanted. */
function reaches(
  { edges }: Walk,
  from: Node,
  isWanted: (node: Node) => boolean,
  without: readonly string[],
): boolean {
  const open = [from];
  const seen = new Set<Node>();
  for (let node; (node = open.pop());) {
    if (isWanted(node)) return true;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const edge of edgesFrom(edges).get(node) ?? []) {
      if (!without.includes(edge.by.kind)) open.push(edge.to);
    }
  }
  return false;
}

type Index = ReadonlyMap<Node, Walk["edges"]>;
const indexes = new WeakMap<Walk["edges"], Index>();

function edgesFrom(edges: Walk["edges"]): Index {
  let index = indexes.get(edges);
  if (!index) {
    index = Map.groupBy(edges, ({ from }) => from);
    indexes.set(edges, index);
  }
  return index;
}

Deno.test("transition() refuses an event that cannot come", () => {
  assert.throws(() => transition(NEW, { kind: "add_succeeded", attached: {} as never }), {
    message: "an attachment that is nothing cannot handle the event add_succeeded",
  });
});

Deno.test("docs/design.md has the diagram of these states (deno task diagram)", async () => {
  const text = await Deno.readTextFile(DESIGN);
  const [, shown] = text.match(/```mermaid\n(stateDiagram[^`]*)\n```/) ?? [];
  assert.equal(shown, diagram(walk(true)));
});
