import type { Sandbox } from "../agent/ports.ts";
import type { Seat } from "../agent/seat.ts";
import { networkNamespace, type NriHandlers } from "../nri/events.ts";
import type { PodSandbox } from "../../proto/gen/nri/nri_pb.ts";

/** The runtime's events in the agent's words. */
export function nriHandlers(seat: Seat): NriHandlers {
  return {
    synchronize: (pods, containers) =>
      seat.synchronize(
        pods.filter(isBounded).map(toSandbox),
        new Set(containers.map(({ podSandboxId }) => podSandboxId)),
      ),
    runPodSandbox: (pod) => seat.runPodSandbox(toSandbox(pod)),
    stopPodSandbox: (pod) => seat.stopPodSandbox(pod.id),
    removePodSandbox: (pod) => seat.stopPodSandbox(pod.id),
    createContainer: (pod, container, signal) =>
      seat.createContainer(toSandbox(pod), {
        cdiDevices: container.cdiDevices.map(({ name }) => name),
        signal,
      }),
  };
}

/** Longer than any id, name or path is, in characters: they are kept for as long as the sandbox lives. */
const LONGEST = 4096;

function isBounded(pod: PodSandbox): boolean {
  const { id, namespace, name, uid } = pod;
  const texts = [id, namespace, name, uid, networkNamespace(pod) ?? ""];
  return texts.every(({ length }) => length <= LONGEST);
}

function toSandbox(pod: PodSandbox): Sandbox {
  if (!isBounded(pod)) {
    throw new Error("the id, a name or the namespace of the sandbox is too long");
  }
  const { id, namespace, name, uid } = pod;
  const netns = networkNamespace(pod);
  return { id, pod: { namespace, name, uid }, ...(netns !== undefined && { netns }) };
}
