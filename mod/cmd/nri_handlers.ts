import type { Agent } from "../agent/agent.ts";
import type { Sandbox } from "../agent/ports.ts";
import { networkNamespace, type NriHandlers } from "../nri/events.ts";
import type { PodSandbox } from "../../proto/gen/nri/nri_pb.ts";

/** The runtime's events in the agent's words. */
export function nriHandlers(agent: Agent): NriHandlers {
  return {
    synchronize: (pods, containers) =>
      agent.reconcile(
        pods.map(toSandbox),
        new Set(containers.map(({ podSandboxId }) => podSandboxId)),
      ),
    runPodSandbox: (pod) => agent.attach(toSandbox(pod)),
    stopPodSandbox: (pod) => agent.detach(pod.id),
    removePodSandbox: (pod) => agent.detach(pod.id),
    createContainer: (pod, container, signal) =>
      agent.gate(toSandbox(pod), {
        cdiDevices: container.cdiDevices.map(({ name }) => name),
        signal,
      }),
  };
}

function toSandbox(pod: PodSandbox): Sandbox {
  const { id, namespace, name, uid } = pod;
  const netns = networkNamespace(pod);
  return { id, pod: { namespace, name, uid }, ...(netns !== undefined && { netns }) };
}
