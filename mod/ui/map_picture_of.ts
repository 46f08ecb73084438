import { findingsOf } from "../cluster/findings.ts";
import type {
  AttachmentView,
  ClusterPicture,
  DeviceView,
  NetworkView,
  NodeView,
  PodClaimView,
  PodView,
} from "../cluster/picture.ts";
import {
  type MapAttachment,
  type MapDevice,
  type MapNetwork,
  type MapNode,
  type MapPicture,
  type MapPod,
  type MapState,
  type MapSummary,
  worstOf,
} from "./map_picture.ts";

/** What of a cluster the page shows. */
export function mapPictureOf(
  picture: ClusterPicture,
  { server, reading, away }: Pick<MapSummary, "server" | "reading" | "away">,
): MapPicture {
  const unread = [...new Set(picture.unread.map(({ message }) => message))];
  const devices = picture.devices.flatMap(mapDevice);
  const deviceKeys = new Set(devices.map(({ key }) => key));
  return {
    nodes: picture.nodes.map(mapNode),
    devices,
    networks: picture.networks.map(mapNetwork),
    pods: picture.pods.map((pod) => mapPod(pod, deviceKeys)),
    summary: {
      server,
      drivers: picture.drivers,
      reading,
      // Of what was never read, nothing is shown that may be old.
      ...(away !== undefined && !unread.includes(away) && { away }),
      unread,
      // While lists are missing, what is not there yet is not wrong.
      findings: reading ? [] : findingsOf(picture),
    },
  };
}

function mapNode({ name, ready, problem, agent }: NodeView): MapNode {
  const isAway = ready === false;
  return {
    key: name,
    name,
    well: !isAway && agent.state !== "not-ready",
    agent: agent.state,
    text: isAway ? `the node is not ready: ${problem}` : agentText(agent),
  };
}

function agentText(agent: NodeView["agent"]): string {
  switch (agent.state) {
    case "ready":
      return agent.pod.version === undefined ? "agent ready" : `agent ${agent.pod.version} ready`;
    case "not-ready":
      return `agent not ready: ${agent.problem}`;
    case "unseen":
      return "no pod of the agent is to be seen";
    case "none":
      return "no agent";
  }
}

interface DeviceName {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
}

function deviceKey({ driver, pool, device }: DeviceName): string {
  return `${driver} ${pool} ${device}`;
}

function mapDevice(view: DeviceView): MapDevice[] {
  const { driver, pool, node, name, attributes, taints, capacity, claims } = view;
  if (node === undefined) return [];
  const { type = "", state, mtu } = attributes;
  return [{
    key: deviceKey({ driver, pool, device: name }),
    node,
    name,
    type: String(type),
    ...(typeof state === "string" && { state }),
    ...(typeof mtu === "number" && { mtu }),
    used: claims.length,
    capacity,
    tainted: taints.length > 0,
  }];
}

function networkKey({ source, name }: Pick<NetworkView, "source" | "name">): string {
  return `${source} ${name}`;
}

function mapNetwork(view: NetworkView): MapNetwork {
  const state = worstOf(Object.keys(view.phases) as MapState[]);
  return {
    key: networkKey(view),
    name: view.name,
    definedIn: view.source === "node" ? "nodes" : "claims",
    plugins: view.plugins.map((types) => types.join(" → ")).join(" or "),
    states: view.phases,
    ...(state && { state }),
  };
}

function mapPod(pod: PodView, devices: ReadonlySet<string>): MapPod {
  const { uid, namespace, name, node, phase, terminating, created } = pod;
  const attachments = pod.claims.flatMap((claim) => mapAttachments(pod, claim, devices));
  return {
    key: uid,
    namespace,
    name,
    ...(node !== undefined && { node }),
    phase,
    ending: terminating,
    created,
    state: worstOf(attachments.map(({ state }) => state)) ?? "no-claim",
    attachments,
  };
}

function mapAttachments(
  pod: PodView,
  { name: podClaim, claim, view }: PodClaimView,
  devices: ReadonlySet<string>,
): MapAttachment[] {
  const key = `${pod.uid} ${podClaim}`;
  const named = { podClaim, ...(claim !== undefined && { claim }) };
  if (!view) {
    return [{ key, ...named, addresses: [], state: "no-claim", began: pod.created }];
  }
  const began = later(pod.created, view.created);
  if (view.attachments.length === 0) {
    const [network] = view.networks;
    return [{
      key,
      ...named,
      ...(network && { network: networkKey(network) }),
      addresses: [],
      state: view.state.phase,
      began,
    }];
  }
  return view.attachments.map((attachment) => ({
    key: `${key} ${attachment.request} ${attachment.device} ${attachment.shareID ?? ""}`.trimEnd(),
    ...named,
    ...placeOf(attachment, devices),
    addresses: attachment.ips,
    state: attachment.state.phase,
    began,
    ...(attachment.condition?.status === "True" && { ready: attachment.condition.since }),
  }));
}

function placeOf(attachment: AttachmentView, devices: ReadonlySet<string>) {
  const { network, interfaceName, hardwareAddress } = attachment;
  const device = deviceKey(attachment);
  return {
    ...(network && { network: networkKey(network) }),
    ...(devices.has(device) && { device }),
    ...(interfaceName !== undefined && { interfaceName }),
    ...(hardwareAddress !== undefined && { hardwareAddress }),
  };
}

function later(one: string, other: string): string {
  return one > other ? one : other;
}
