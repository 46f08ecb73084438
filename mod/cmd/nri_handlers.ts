import type { Sandbox } from "../agent/model.ts";
import type { ActiveAgent } from "../agent/handover/active_agent.ts";
import { MOUNT_FOLDER } from "../cdi/spec_files.ts";
import { networkNamespace, type NriHandlers } from "../nri/events.ts";
import { type Container, ContainerState, type PodSandbox } from "../../proto/gen/nri/nri_pb.ts";

/** The runtime's events in the agent's words. */
export function nriHandlers(activeAgent: ActiveAgent): NriHandlers {
  return {
    synchronize: (pods, containers) =>
      activeAgent.synchronize(
        pods.filter(isBounded).map(toListedSandbox),
        new Set(containers.filter(mayHaveRun).map(({ podSandboxId }) => podSandboxId)),
      ),
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

/** Longer than any id, name or path is, in characters: they are kept for as long as the sandbox lives. */
const LONGEST = 4096;

/**
 * Whether a container runs, or may have run without its networks. With a mount of ours it starts only
 * when they are there: one that does not run now may have failed to start for that, and lives by
 * nothing that could be taken from it.
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

function isBounded(pod: PodSandbox): boolean {
  const { id, namespace, name, uid } = pod;
  const texts = [id, namespace, name, uid, networkNamespace(pod) ?? ""];
  return texts.every(({ length }) => length <= LONGEST);
}

/**
 * Containerd also lists sandboxes whose making its own end broke off, and those that have ended: from
 * 2.3 on with all namespaces but the network's, as those on the host's network are.
 */
function toListedSandbox(pod: PodSandbox): Sandbox {
  const sandbox = toSandbox(pod);
  const incomplete = sandbox.netns === undefined && (!pod.pid || !pod.linux?.namespaces.length);
  return { ...sandbox, ...(incomplete && { incomplete }) };
}

function toSandbox(pod: PodSandbox): Sandbox {
  if (!isBounded(pod)) {
    throw new Error("the id, a name or the namespace of the sandbox is too long");
  }
  const { id, namespace, name, uid } = pod;
  const netns = networkNamespace(pod);
  return { id, pod: { namespace, name, uid }, ...(netns !== undefined && { netns }) };
}
