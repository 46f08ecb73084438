import type { NetworkList } from "./network_list.ts";

/** Which claim; the UID tells a claim from an earlier one of the same name. */
export interface ClaimRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** One entry of a claim's allocation result: what the scheduler gave to a request. */
export interface AllocatedDevice {
  /** The request as the allocation names it: `request` or `request/subrequest`. */
  readonly request: string;
  readonly pool: string;
  readonly device: string;
  /** Set when the device is shared (KEP-5075). */
  readonly shareID?: string;
}

/**
 * How the configuration is written: a list, or a single plugin's, by whoever wrote the parameters or
 * the NetworkAttachmentDefinition that they name; or `name`, where the administrator wrote it.
 */
export type ParametersForm = "list" | "single" | "name";

/** Who wrote the parameters that apply: the administrator in a device class, or a user in a claim. */
export interface Origin {
  readonly from: "class" | "claim";
  /** Where they stand in the claim, for errors. */
  readonly path: string;
  readonly form: ParametersForm;
  /** NAMESPACE/NAME of the NetworkAttachmentDefinition that they name; absent where they name none. */
  readonly definition?: string;
}

/** One network that a claim asks for: an allocated device with the CNI configuration that applies. */
export interface Attachment extends AllocatedDevice {
  /** The interface's name in the pod, 1 to 15 bytes, unique in the pod. */
  readonly ifName: string;
  /** False when the name was defaulted (net1, net2, …) and may be chosen again to be unique. */
  readonly ifNameGiven: boolean;
  readonly network: NetworkList;
  /** Capability arguments (CNI conventions: ips, mac, bandwidth, portMappings, …). */
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
  /** Absent in records of an agent that kept none. */
  readonly origin?: Origin;
}
