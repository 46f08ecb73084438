import type { Sandbox } from "../agent/model.ts";
import type { ActiveAgent } from "../agent/handover/active_agent.ts";
import { MOUNT_FOLDER } from "../cdi/spec_files.ts";
import { networkNamespace, type NriHandlers } from "../nri/events.ts";
import { type Container, ContainerState, type PodSandbox } from "../../proto/gen/nri/nri_pb.ts";

/** Translates the runtime's events for the agent. */
export function nriHandlers(activeAgent: ActiveAgent): NriHandlers {
  return {
    synchronize: (pods, containers) =>
      activeAgent.synchronize(pods.filter(isBounded).map(toListedSandbox), {
        started: sandboxIds(containers.filter(mayHaveRun)),
        created: sandboxIds(containers.filter(isCreated)),
      }),
    runPodSandbox: (pod) => activeAgent.runPodSandbox(toSandbox(pod)),
    stopPodSandbox: (pod) => activeAgent.stopPodSandbox(pod.id),
    removePodSandbox: (pod) => activeAgent.stopPodSandbox(pod.id),
    createContainer: (pod, container, signal) =>
      activeAgent.createContainer(toSandbox(pod), {
        cdiDevices: container.cdiDevices.map(({ name }) => name),
        signal,
      }),
  };
}

/** In characters. No valid ID, name or path is longer; they are kept as long as the sandbox exists. */
const LONGEST = 4096;

/**
 * Whether a container runs, or may have run without its networks. A container with one of our mounts
 * starts only when its networks are attached: if it does not run now, it may have failed to start for
 * that reason, and loses nothing if they are attached now.
 */
function mayHaveRun({ state, mounts }: Container): boolean {
  switch (state) {
    case ContainerState.CONTAINER_CREATED:
      return false;
    case ContainerState.CONTAINER_STOPPED:
      return !mounts.some(({ destination }) => destination.startsWith(`${MOUNT_FOLDER}/`));
    default:
      return true;
  }
}

function isCreated({ state }: Container): boolean {
  return state === ContainerState.CONTAINER_CREATED;
}

function sandboxIds(containers: readonly Container[]): Set<string> {
  return new Set(containers.map(({ podSandboxId }) => podSandboxId));
}

function isBounded(pod: PodSandbox): boolean {
  const { id, namespace, name, uid } = pod;
  const texts = [id, namespace, name, uid, networkNamespace(pod) ?? ""];
  return texts.every(({ length }) => length <= LONGEST);
}

/**
 * Containerd also lists sandboxes whose creation was interrupted when containerd stopped, and those that
 * have ended: from 2.3 on, with all namespaces except the network's, like those on the host's network.
 */
function toListedSandbox(pod: PodSandbox): Sandbox {
  const sandbox = toSandbox(pod);
  const incomplete = sandbox.netns === undefined && (!pod.pid || !pod.linux?.namespaces.length);
  return { ...sandbox, ...(incomplete && { incomplete }) };
}

function toSandbox(pod: PodSandbox): Sandbox {
  if (!isBounded(pod)) {
    throw new Error("the ID, a name or the namespace of the sandbox is too long");
  }
  const { id, namespace, name, uid } = pod;
  const netns = networkNamespace(pod);
  return { id, pod: { namespace, name, uid }, ...(netns !== undefined && { netns }) };
}
