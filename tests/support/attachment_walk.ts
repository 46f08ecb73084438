/** All states that an attachment can come to, by every event that can come in each. */
import {
  type AttachmentEvent,
  type AttachmentState,
  type Effect,
  hasResult,
  isGone,
  NEW,
  nextEffect,
  restored,
  transition,
  unknown,
} from "../../mod/agent/attachments/attachment_state.ts";
import type { Attached, Lost } from "../../mod/agent/model.ts";

/** A state, and the effect that is being carried out in it. */
export interface Node {
  readonly state: AttachmentState;
  readonly running?: Effect;
}

export interface Edge {
  readonly from: Node;
  /** What happens: an event, or the beginning of an effect. */
  readonly by: AttachmentEvent | { readonly kind: "begin"; readonly effect: Effect };
  readonly to: Node;
}

export interface Walk {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly edges: readonly Edge[];
}

const AT = "2026-01-01T00:00:00Z";
const ATTACHED: Attached = { result: { cniVersion: "1.0.0" }, networkData: {}, at: AT };
const LOST: Lost = { reason: "NetworkInterfaceLost", message: "", since: AT };
const GONE: Lost = { ...LOST, reason: "DeviceRemoved" };
const ERROR = new Error("it failed");

/** The states in which an attachment begins. */
const BEGINNINGS: readonly AttachmentState[] = [
  NEW,
  unknown("none"),
  unknown("unreadable"),
  restored({}),
  restored({ attached: ATTACHED }),
  restored({ attached: ATTACHED, lost: LOST }),
  restored({ add: "pending" }),
  restored({ addFailed: true }),
];

/** @param started whether the sandbox has containers */
export function walk(started: boolean): Walk {
  const nodes = new Map<string, Node>();
  const edges: Edge[] = [];
  const open: Node[] = [];
  const visit = (node: Node): Node => {
    const key = keyOf(node);
    const known = nodes.get(key);
    if (known) return known;
    nodes.set(key, node);
    open.push(node);
    return node;
  };
  for (const state of BEGINNINGS) visit({ state });
  for (let from; (from = open.pop());) {
    for (const edge of edgesOf(from, started)) {
      edges.push({ ...edge, to: visit(edge.to) });
    }
  }
  return { nodes, edges };
}

function* edgesOf(from: Node, started: boolean): Generator<Edge> {
  const { state, running } = from;
  // Then the worker lets go of it.
  if (isGone(state)) return;
  for (const by of asked(state)) yield { from, by, to: { state: transition(state, by), running } };
  if (running) {
    for (const by of outcomes(from, running)) {
      yield { from, by, to: { state: transition(state, by) } };
    }
    return;
  }
  if (state.situation.kind === "adding") {
    for (const by of ADD_OUTCOMES) yield { from, by, to: { state: transition(state, by) } };
  }
  // After a failed ADD, and where the name turns out to be another's, the record goes at once.
  if (state.situation.kind === "undone") {
    const by = { kind: "record_removed" } as const;
    yield { from, by, to: { state: transition(state, by) } };
  }
  const effect = nextEffect(state, { started });
  if (effect) yield { from, by: { kind: "begin", effect }, to: { state, running: effect } };
}

/** What can come at any time. */
function asked(state: AttachmentState): AttachmentEvent[] {
  const events: AttachmentEvent[] = [
    { kind: "unwanted" },
    { kind: "given_up", why: "asked" },
    { kind: "try_failed", error: ERROR, at: AT, atMs: 0 },
    { kind: "try_succeeded" },
  ];
  if (hasResult(state.situation)) {
    events.push({ kind: "found_intact", at: AT });
    for (const lost of [LOST, GONE]) {
      for (const repair of [false, true]) events.push({ kind: "found_lost", lost, repair });
    }
  }
  return events;
}

const ADD_OUTCOMES: readonly AttachmentEvent[] = [
  { kind: "add_succeeded", attached: ATTACHED },
  { kind: "add_failed", foreign: false },
  { kind: "add_failed", foreign: true },
];

function outcomes({ state: { situation } }: Node, effect: Effect): AttachmentEvent[] {
  switch (effect.kind) {
    case "record_intent":
      return [{ kind: "intent_recorded" }];
    case "rewrite_record":
      return [{ kind: "record_rewritten" }];
    case "recall":
      return [{ kind: "recalled" }, { kind: "recalled", attached: ATTACHED }];
    case "add":
      return [{ kind: "add_began" }];
    case "record_failure":
      return [{ kind: "failure_recorded" }, { kind: "failure_not_recorded" }];
    case "del":
      return [
        { kind: "del_succeeded" },
        { kind: "del_failed", foreign: false },
        { kind: "del_failed", foreign: true },
      ];
    case "remove_record":
      return [{ kind: "record_removed" }];
    case "record_result":
      // What was written may be older by then.
      return hasResult(situation)
        ? [{ kind: "result_recorded", attached: effect.attached, lost: effect.lost }]
        : [];
    case "drop_result":
      return [{ kind: "result_dropped" }];
  }
}

/** Times and objects aside, what tells states apart. */
function keyOf({ state: { desired, situation, failure }, running }: Node): string {
  const attached = "attached" in situation ? situation.attached?.checked === true : "";
  const lost = "lost" in situation ? situation.lost.reason : "";
  const { kind, record = "", purpose = "", foreign = "" } = { ...situation } as Record<
    string,
    unknown
  >;
  const words = [desired.kind, kind, record, purpose, foreign, attached, lost, !!failure];
  const written = running?.kind === "record_result"
    ? [running.attached.checked === true, running.lost?.reason ?? ""]
    : [];
  return JSON.stringify([...words, running?.kind ?? "", ...written]);
}

/** The situations and what leads from one to another, as a Mermaid state diagram. */
export function diagram({ edges }: Walk): string {
  const lines = new Set<string>();
  for (const { from, by, to } of edges) {
    const [before, after] = [from, to].map(({ state: { situation } }) => situation.kind);
    const isGivenUp = by.kind === "del_failed" && from.state.desired.kind === "given_up";
    const why = isGivenUp ? " (given up)" : "";
    if (before !== after) lines.add(`  ${before} --> ${after}: ${by.kind}${why}`);
  }
  const begins = new Set(BEGINNINGS.map(({ situation }) => `  [*] --> ${situation.kind}`));
  return ["stateDiagram-v2", ...[...begins].sort(), ...[...lines].sort(), "  nothing --> [*]"]
    .join("\n");
}
