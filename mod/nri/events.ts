import { fromBinary } from "@bufbuild/protobuf";
import {
  type Container,
  CreateContainerRequestSchema,
  Event,
  type PodSandbox,
  PodSandboxRequestSchema,
  StateChangeEventSchema,
} from "../../proto/gen/nri/nri_pb.ts";

/** What the plugin does when something happens. What a handler throws is answered as an error. */
export interface NriHandlers {
  /** All there is, when a connection begins. */
  synchronize(pods: PodSandbox[], containers: Container[]): void | Promise<void>;
  runPodSandbox(pod: PodSandbox): void | Promise<void>;
  stopPodSandbox(pod: PodSandbox): void | Promise<void>;
  removePodSandbox(pod: PodSandbox): void | Promise<void>;
  /** The signal is aborted when the answer is due. */
  createContainer(pod: PodSandbox, container: Container, signal: AbortSignal): void | Promise<void>;
}

/** The events that are subscribed to: bit (number - 1) of each. 0 would mean all. */
export const SUBSCRIPTION = [
  Event.RUN_POD_SANDBOX,
  Event.STOP_POD_SANDBOX,
  Event.REMOVE_POD_SANDBOX,
  Event.CREATE_CONTAINER,
].reduce((mask, event) => mask | 1 << (event - 1), 0);

/** The events of NRI that the agent handles. */
export type NriEvent =
  | "Synchronize"
  | "RunPodSandbox"
  | "StopPodSandbox"
  | "RemovePodSandbox"
  | "CreateContainer";

/** An event that the runtime sends, and for whose answer it waits. */
export interface Handling {
  readonly event: NriEvent;
  readonly run: (handlers: NriHandlers, signal: AbortSignal) => void | Promise<void>;
}

const EMPTY_POD: PodSandbox = {
  $typeName: "nri.pkg.api.v1alpha1.PodSandbox",
  id: "",
  name: "",
  uid: "",
  namespace: "",
  pid: 0,
};

/**
 * How each method of the Plugin service that carries an event is handled; undefined for what is not
 * subscribed to: a runtime that sends it anyway gets an empty answer. The events of sandboxes
 * come as StateChange up to NRI 0.11 and as calls of their own from 0.12 on; both are alike here.
 */
export const EVENT_METHODS: Readonly<
  Record<string, (payload: Uint8Array) => Handling | undefined>
> = {
  RunPodSandbox: (payload) => sandboxEvent(Event.RUN_POD_SANDBOX, podOf(payload)),
  StopPodSandbox: (payload) => sandboxEvent(Event.STOP_POD_SANDBOX, podOf(payload)),
  RemovePodSandbox: (payload) => sandboxEvent(Event.REMOVE_POD_SANDBOX, podOf(payload)),
  StateChange: (payload) => {
    const { event, pod } = fromBinary(StateChangeEventSchema, payload);
    return sandboxEvent(event, pod ?? EMPTY_POD);
  },
  CreateContainer: (payload) => {
    const { pod = EMPTY_POD, container } = fromBinary(CreateContainerRequestSchema, payload);
    return container && {
      event: "CreateContainer",
      run: (handlers, signal) => handlers.createContainer(pod, container, signal),
    };
  },
};

function podOf(payload: Uint8Array): PodSandbox {
  return fromBinary(PodSandboxRequestSchema, payload).pod ?? EMPTY_POD;
}

function sandboxEvent(event: Event, pod: PodSandbox): Handling | undefined {
  switch (event) {
    case Event.RUN_POD_SANDBOX:
      return { event: "RunPodSandbox", run: (handlers) => handlers.runPodSandbox(pod) };
    case Event.STOP_POD_SANDBOX:
      return { event: "StopPodSandbox", run: (handlers) => handlers.stopPodSandbox(pod) };
    case Event.REMOVE_POD_SANDBOX:
      return { event: "RemovePodSandbox", run: (handlers) => handlers.removePodSandbox(pod) };
    default:
      return undefined;
  }
}

/** The path of the sandbox's network namespace; undefined if the runtime names none. */
export function networkNamespace(pod: PodSandbox): string | undefined {
  return pod.linux?.namespaces.find(({ type }) => type === "network")?.path || undefined;
}
