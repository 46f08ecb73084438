import { adviceOn } from "./advice.ts";
import { awayOr, missingAgents } from "./findings.ts";
import type { EventObject, Kind, ObjectRef } from "./objects.ts";
import type { ClaimView, ClusterPicture, NodeView, PodClaimView, PodView } from "./picture.ts";

/** What the way of a network is read from. */
export const EXPLAINED_KINDS: readonly Kind[] = [
  "Node",
  "AgentPod",
  "Pod",
  "ResourceSlice",
  "DeviceClass",
  "ResourceClaim",
  "ResourceClaimTemplate",
  "Event",
];

/** The steps of the way from a claim to a network, in order. */
export const STEPS = [
  "claim",
  "class",
  "allocation",
  "node",
  "prepare",
  "attach",
  "status",
] as const;

/** The name of a step. */
export type StepName = typeof STEPS[number];

/** One step. */
export interface Step {
  readonly name: StepName;
  /** "waiting": it may still come; "not-reached": one before it hangs. */
  readonly outcome: "done" | "failed" | "waiting" | "unknown" | "not-reached";
  /** What is known of it, in a line. */
  readonly text: string;
}

/** The way of one claim of a pod, or of a claim alone. */
export interface Way {
  /** What the pod's containers call it; absent where only the claim was asked for. */
  readonly podClaim?: string;
  /** Absent while it is not made from its template. */
  readonly claim?: ObjectRef;
  readonly steps: readonly Step[];
  /** The first step that failed or is waited for; absent where all is done. */
  readonly hangsAt?: StepName;
  /** What says why: a condition, or an event and who wrote it. */
  readonly because?: string;
  /** The cause in a few words, where the message is a known one. */
  readonly cause?: string;
  readonly whatToDo?: string;
}

/** How a step is seen: done, or not, with what says so. */
interface Look {
  readonly outcome: "done" | "failed" | "waiting" | "unknown";
  readonly text: string;
  readonly reason?: string;
  readonly message?: string;
  /** Who says it. */
  readonly by?: string;
  /** Where it is known by more than the message. */
  readonly cause?: string;
  readonly whatToDo?: string;
}

/** What a way leads past. */
interface Scene {
  readonly picture: ClusterPicture;
  readonly pod?: PodView;
  readonly podClaim?: PodClaimView;
  readonly claim?: ClaimView;
}

/** The ways of all claims of a pod. */
export function explainPod(pod: PodView, picture: ClusterPicture): Way[] {
  return pod.claims.map((podClaim) =>
    way({ picture, pod, podClaim, ...(podClaim.view && { claim: podClaim.view }) })
  );
}

/** The way of a claim, with the first pod that uses it. */
export function explainClaim(claim: ClaimView, picture: ClusterPicture): Way {
  const uids = new Set(claim.pods.map(({ uid }) => uid));
  const pod = picture.pods.find(({ uid }) => uids.has(uid));
  return way({ picture, claim, ...(pod && { pod }) });
}

const LOOKS: Readonly<Record<StepName, (scene: Scene) => Look>> = {
  claim: lookAtClaim,
  class: lookAtClass,
  allocation: lookAtAllocation,
  node: lookAtNode,
  prepare: lookAtPrepare,
  attach: lookAtAttach,
  status: lookAtStatus,
};

function way(scene: Scene): Way {
  const { podClaim, claim } = scene;
  const steps: Step[] = [];
  let stop: { readonly name: StepName; readonly look: Look } | undefined;
  for (const name of STEPS) {
    if (stop) {
      steps.push({ name, outcome: "not-reached", text: "" });
      continue;
    }
    const look = LOOKS[name](scene);
    steps.push({ name, outcome: look.outcome, text: look.text });
    if (look.outcome === "failed" || look.outcome === "waiting") stop = { name, look };
  }
  return {
    ...(podClaim && { podClaim: podClaim.name }),
    ...(claim && { claim: { namespace: claim.namespace, name: claim.name, uid: claim.uid } }),
    steps,
    ...(stop && hang(stop.name, stop.look)),
  };
}

function hang(
  hangsAt: StepName,
  { reason, message, by, cause, whatToDo }: Look,
): Pick<Way, "hangsAt" | "because" | "cause" | "whatToDo"> {
  const advice = adviceOn({ reason, message });
  const said = [reason, message].filter((part) => part).join(": ");
  const why = cause ?? advice?.cause;
  const todo = whatToDo ?? advice?.whatToDo;
  return {
    hangsAt,
    ...(said !== "" && { because: by === undefined ? said : `${by}: ${said}` }),
    ...(why !== undefined && { cause: why }),
    ...(todo !== undefined && { whatToDo: todo }),
  };
}

function lookAtClaim({ claim, podClaim, pod, picture }: Scene): Look {
  if (claim) {
    const template = podClaim?.template;
    const from = template === undefined ? "" : `, made from the template ${template}`;
    return { outcome: "done", text: `${claim.namespace}/${claim.name}${from}` };
  }
  const { namespace = "" } = pod ?? {};
  if (podClaim?.claim !== undefined) {
    return {
      outcome: "failed",
      text: `there is no ResourceClaim ${namespace}/${podClaim.claim}`,
      whatToDo: `create it in the namespace ${namespace}, or correct the name in the pod`,
    };
  }
  const template = podClaim?.template ?? "";
  const isThere = picture.templates.some((each) =>
    each.namespace === namespace && each.name === template
  );
  const text = isThere
    ? `it is not made from the template ${template} yet`
    : `there is no ResourceClaimTemplate ${namespace}/${template}`;
  return {
    outcome: isThere ? "waiting" : "failed",
    text,
    ...eventSays(pod?.events, ["FailedResourceClaimCreation"]),
    whatToDo: isThere
      ? "see whether kube-controller-manager runs"
      : `create the template in the namespace ${namespace}, or correct the name in the pod`,
  };
}

function lookAtClass({ claim, picture }: Scene): Look {
  const names = [...new Set(claim!.requests.map(({ className }) => className))];
  if (picture.unread.some(({ kind }) => kind === "DeviceClass")) {
    return { outcome: "unknown", text: `${names.join(", ")} (you may not read DeviceClasses)` };
  }
  const isAllocated = claim!.attachments.length > 0;
  const missing = names.find((name) => !picture.classNames.includes(name));
  if (missing !== undefined && !isAllocated) {
    return {
      outcome: "failed",
      text: `there is no DeviceClass ${missing}`,
      whatToDo: `create it, or use another one: kubectl get deviceclasses`,
    };
  }
  const networks = claim!.networks.map(({ name, plugins }) =>
    plugins.length > 0 ? `${name} (${plugins.join(" → ")})` : name
  );
  const network = networks.length > 0 ? `, network ${networks.join(", ")}` : "";
  return { outcome: "done", text: `${names.join(", ")}${network}` };
}

function lookAtAllocation({ claim, pod, picture }: Scene): Look {
  const { attachments, state } = claim!;
  if (attachments.length > 0) {
    const devices = attachments.map(({ request, device, pool }) =>
      `${request} has ${device} of ${pool}`
    );
    return { outcome: "done", text: devices.join("; ") };
  }
  if (
    picture.devices.length === 0 && !picture.unread.some(({ kind }) => kind === "ResourceSlice")
  ) {
    return {
      outcome: "waiting",
      text: "no node has devices of this driver",
      ...(state.message !== undefined && { message: state.message, by: "scheduler" }),
      whatToDo: "see whether agents run: kubectl network-dra status",
    };
  }
  if (claim!.pods.length === 0) {
    return {
      outcome: "waiting",
      text: "no pod uses the claim, so that the scheduler has chosen nothing",
      whatToDo: "create a pod that names the claim",
    };
  }
  const { unscheduled } = pod ?? {};
  const said = unscheduled ?? state.message;
  const away = missingAgents(picture);
  const known = adviceOn({ message: said }) ?? {
    whatToDo: "compare the selectors with the devices: kubectl network-dra devices -o wide",
  };
  const event = eventSays(pod?.events, ["FailedScheduling"]);
  return {
    outcome: "waiting",
    text: "the scheduler finds no node with devices that the class and the selectors take",
    ...event,
    ...(said !== undefined && { reason: "Unschedulable", message: said, by: "scheduler" }),
    ...(away ? awayOr(away, known) : { whatToDo: known.whatToDo }),
  };
}

function lookAtNode({ claim, pod, picture }: Scene): Look {
  if (claim!.pods.length === 0) {
    return {
      outcome: "waiting",
      text: "no pod uses the claim",
      whatToDo: "create a pod that names the claim",
    };
  }
  const name = pod?.node ?? claim!.node;
  if (name === undefined || (pod && pod.node === undefined)) {
    return {
      outcome: "waiting",
      text: "the pod has no node yet",
      ...(pod?.unscheduled !== undefined && { message: pod.unscheduled, by: "scheduler" }),
    };
  }
  const isAttached = claim!.state.phase === "attached";
  const node = picture.nodes.find((each) => each.name === name);
  const trouble = nodeTrouble(name, node);
  // What is attached stays so while the agent is away.
  if (trouble && !isAttached) return trouble;
  return { outcome: node ? "done" : "unknown", text: [name, agentText(node)].join(", ") };
}

function nodeTrouble(name: string, node: NodeView | undefined): Look | undefined {
  if (node?.ready === false) {
    return {
      outcome: "failed",
      text: `${name} is not ready`,
      message: node.problem,
      by: "node",
      whatToDo: `look at the node: kubectl describe node ${name}`,
    };
  }
  if (node?.agent.state === "not-ready") {
    const { pod, problem } = node.agent;
    return {
      outcome: "failed",
      text: `${name}: the agent is not ready`,
      message: problem,
      by: `pod ${pod.namespace}/${pod.name}`,
      whatToDo: `kubectl -n ${pod.namespace} logs ${pod.name}`,
    };
  }
  if (node?.agent.state === "none") {
    return {
      outcome: "failed",
      text: `${name}: no agent runs there`,
      whatToDo: "see whether the DaemonSet's nodeSelector and tolerations match the node",
    };
  }
  return undefined;
}

function agentText(node: NodeView | undefined): string {
  switch (node?.agent.state) {
    case "ready":
      return `agent ${node.agent.pod.version ?? ""} ready`.replace("  ", " ");
    case "not-ready":
      return `agent not ready: ${node.agent.problem}`;
    case "unseen":
      return "no pod of the agent is to be seen";
    default:
      return "nothing is known of its agent";
  }
}

const PREPARE_REASONS = ["FailedPrepareDynamicResources", "NetworkRefusedByPolicy"];

function lookAtPrepare({ claim, pod }: Scene): Look {
  const { state, attachments } = claim!;
  if (attachments.some(({ condition }) => condition)) {
    return { outcome: "done", text: "the agent has accepted the claim" };
  }
  if (state.phase === "failed" && PREPARE_REASONS.includes(state.reason ?? "")) {
    const { reason, message } = state;
    const by = reason === "FailedPrepareDynamicResources" ? "kubelet" : "agent";
    return {
      outcome: "failed",
      text: "the kubelet could not prepare the claim",
      reason,
      message,
      by,
    };
  }
  if (state.phase === "failed") {
    return { outcome: "done", text: "the agent has accepted the claim" };
  }
  if (pod && pod.phase !== "Pending") {
    return { outcome: "unknown", text: "the agent has written nothing into the claim's status" };
  }
  const event = eventSays(pod?.events, ["NetworkWaiting", "FailedCreatePodSandBox", "FailedMount"]);
  return {
    outcome: "waiting",
    text: "nothing is written of it yet: the kubelet prepares it, or the agent attaches it",
    ...event,
    whatToDo: "wait a moment; if it stays so, look at the pod: kubectl describe pod" +
      (pod ? ` -n ${pod.namespace} ${pod.name}` : ""),
  };
}

function lookAtAttach({ claim, pod }: Scene): Look {
  const { state, attachments } = claim!;
  if (state.phase === "failed") {
    const { reason, message } = state;
    return {
      outcome: "failed",
      text: "the network could not be attached; the agent tries again",
      reason,
      message,
      by: reason?.endsWith("AttachFailed") ? "agent" : "claim",
    };
  }
  if (state.phase === "detaching") {
    const { reason, message } = state;
    return {
      outcome: "waiting",
      text: "the pod ends, and the network is detached",
      ...(message !== undefined && { reason, message, by: "agent" }),
    };
  }
  const shown = attachments.flatMap(({ interfaceName }) => interfaceName ?? []);
  if (attachments.some(({ condition }) => !condition)) {
    return pod && pod.phase !== "Pending"
      ? { outcome: "unknown", text: "the agent has written nothing into the claim's status" }
      : {
        outcome: "waiting",
        text: "not all networks of the claim are attached yet",
        ...eventSays(pod?.events, ["NetworkAttachFailed", "NetworkWaiting"]),
      };
  }
  return { outcome: "done", text: shown.length > 0 ? `as ${shown.join(", ")}` : "attached" };
}

function lookAtStatus({ claim }: Scene): Look {
  const { state, attachments } = claim!;
  if (state.phase === "lost") {
    const { reason, message } = state;
    return {
      outcome: "failed",
      text: "the network is no longer as it was attached",
      reason,
      message,
      by: "claim",
    };
  }
  if (attachments.every(({ condition }) => condition?.status === "True")) {
    const addresses = attachments.map(({ interfaceName, ips, hardwareAddress }) =>
      [interfaceName, ...ips, hardwareAddress].filter((part) => part).join(" ")
    );
    return { outcome: "done", text: `Ready: ${addresses.join("; ")}` };
  }
  return { outcome: "unknown", text: "the claim's status says nothing" };
}

/** The latest event of one of the reasons. */
function eventSays(
  events: readonly EventObject[] = [],
  reasons: readonly string[],
): Pick<Look, "reason" | "message" | "by"> {
  const event = events.find(({ reason }) => reasons.includes(reason));
  if (!event) return {};
  const { reason, message, component } = event;
  return { reason, message, by: component };
}
