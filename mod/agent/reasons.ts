/** What a reason says to a user. */
interface Meaning {
  readonly meaning: string;
  /** What the user, or the administrator, can do. */
  readonly action: string;
}

/** What Events are about. */
interface EventMeaning extends Meaning {
  readonly about: readonly ("Pod" | "ResourceClaim")[];
}

/** The reasons of the agent's Events, which are all of type Warning. */
export const EVENT_REASONS = {
  NetworkAddressConflict: {
    about: ["Pod"],
    meaning:
      "Another pod has an address of the pod: someone deleted the pod's NetworkAddress, and " +
      "the address was given away before the agent could create the object again.",
    action: "Recreate one of the two pods. Do not delete NetworkAddresses of running pods.",
  },
  NetworkAttachFailed: {
    about: ["Pod"],
    meaning: "A network of the pod cannot be attached. The agent tries again while the pod lives.",
    action: "Read the cause at the end of the message: it is the CNI plugin's own. " +
      "Fix the claim's configuration, the plugin or the node.",
  },
  NetworkAttachedLate: {
    about: ["Pod"],
    meaning: "Containers of the pod started without the network. The agent attaches it now.",
    action: "Recreate the pod if its programs look for interfaces only when they start.",
  },
  NetworkDetachFailed: {
    about: ["Pod", "ResourceClaim"],
    meaning: "A network cannot be detached. The pod and the claim stay until it is.",
    action: "Fix what the message names. If you cannot, run " +
      "`network-dra forget NAMESPACE/CLAIM` on the node.",
  },
  NetworkDeviceRemoved: {
    about: ["Pod"],
    meaning: "The node's interface on which a network of the pod was attached is gone.",
    action: "Bring the interface back, or recreate the pod.",
  },
  NetworkForgotten: {
    about: ["Pod", "ResourceClaim"],
    meaning: "The agent gave up detaching a network, by itself or on request.",
    action: "Remove what the message says may be left on the node: an address or an interface.",
  },
  NetworkKept: {
    about: ["Pod", "ResourceClaim"],
    meaning:
      "The kubelet unprepared a claim that a running pod uses. The agent keeps its networks " +
      "until that pod ends.",
    action: "Nothing, as long as the pod needs no more containers that name the claim. " +
      "Otherwise recreate the pod.",
  },
  NetworkLost: {
    about: ["Pod"],
    meaning: "CNI CHECK found that a network has changed since it was attached.",
    action: "Recreate the pod, or run the agent with `--repair`.",
  },
  NetworkRefusedByPolicy: {
    about: ["Pod", "ResourceClaim"],
    meaning: "The claim asks for something that the administrator's policy does not allow.",
    action:
      "Remove the field that the message names, or ask an administrator to change the setting " +
      "that it names.",
  },
  NetworkStatusRefused: {
    about: ["ResourceClaim"],
    meaning:
      "The API server finds the claim's status invalid. The agent writes it without the CNI " +
      "result, then without the addresses, and keeps the condition.",
    action: "The message says what is left out. The network itself is attached.",
  },
  NetworkWaiting: {
    about: ["Pod"],
    meaning: "The agent cannot tell yet whether the pod uses a shared claim. Its containers wait.",
    action: "Nothing if it is brief. Otherwise check whether the node can reach the API server.",
  },
} as const satisfies Readonly<Record<string, EventMeaning>>;

/** The reason of an Event of the agent. */
export type EventReason = keyof typeof EVENT_REASONS;

/** What the `Ready` condition of a device in a claim's status says. */
interface ConditionMeaning extends Meaning {
  readonly status: "True" | "False";
}

/** The reasons of the condition `Ready` of devices in a claim's status. */
export const CONDITION_REASONS = {
  NetworkInterfaceReady: {
    status: "True",
    meaning: "The network is attached. The message names the interface, and the number of pods " +
      "when several share the claim.",
    action: "Nothing.",
  },
  NetworkInterfaceNotReady: {
    status: "False",
    meaning: "The network cannot be attached. The message has the cause. The agent tries again.",
    action: "Fix what the message names, as for the event `NetworkAttachFailed`.",
  },
  NetworkInterfaceLost: {
    status: "False",
    meaning: "CNI CHECK found that the network has changed since it was attached. The condition " +
      "becomes `True` again when a later CHECK finds it intact, or after a repair.",
    action: "Recreate the pod, or run the agent with `--repair`.",
  },
  DeviceRemoved: {
    status: "False",
    meaning: "The node's interface on which the network was attached is gone.",
    action: "Bring the interface back, or recreate the pod.",
  },
} as const satisfies Readonly<Record<string, ConditionMeaning>>;

/** The reason of a device's condition. */
export type ConditionReason = keyof typeof CONDITION_REASONS;
