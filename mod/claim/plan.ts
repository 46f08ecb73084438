import { assertNamed } from "../addresses/pools.ts";
import { type DeviceInterface, useInterface } from "./allocated_interface.ts";
import { type AllocationResult, allocationResults, baseRequest } from "./allocation.ts";
import type { AllocatedDevice, Attachment, ClaimRef, Origin } from "./attachment.ts";
import {
  array,
  FieldError,
  type Fields,
  identity,
  join,
  LABEL,
  object,
  optional,
  show,
  text,
} from "./field.ts";
import { type NetworkOf, type Parameters, parseParameters } from "./parameters.ts";
import { reservationOf } from "./reservation.ts";
import { writtenDefaultName } from "./written_status.ts";
import { errorMessage } from "../async/error_message.ts";

/** What a claim requests from this driver on this node. */
export interface ClaimPlan {
  readonly claim: ClaimRef;
  /** The pods for which it is reserved. */
  readonly pods: readonly { readonly name: string; readonly uid: string }[];
  /** PodGroups for which it is reserved: all their pods may use it. Absent where there are none. */
  readonly groups?: readonly string[];
  /** Whether more pods can start to use it: it was not created for one pod from a template. */
  readonly shareable: boolean;
  /** Its name in the pod, if it was created from a template. */
  readonly podClaimName?: string;
  /**
   * In the order of the allocation's results. Interface names that the claim leaves out are those of
   * an earlier run of the agent, according to the claim's status, or empty.
   */
  readonly attachments: readonly Attachment[];
}

/** The node's data that a claim is planned with. */
export interface PlanOptions {
  readonly driver: string;
  /**
   * The interface behind a device of this node. Throws an Error for a device that the node does not
   * have.
   */
  readonly interfaceOf: (device: string) => DeviceInterface;
  /** The networks that the claim's parameters can name on this node. */
  readonly networkOf?: NetworkOf;
}

/** Why a claim cannot be served: the claim, the request if it concerns only one, and the cause. */
export class ClaimError extends Error {
  override readonly name = "ClaimError";
}

const ALLOCATION = "status.allocation.devices";

/**
 * Reads a ResourceClaim (resource.k8s.io/v1) as the API server returns it.
 *
 * Each result that names this driver becomes one attachment. Its configuration comes from the
 * claim, or else from the device class: a claim's configuration replaces the class's as a whole.
 * Two configurations from the same source that apply to one request are refused, because it is
 * unclear which one is meant. The allocated device's interface fills in what the configuration
 * leaves out (see useInterface).
 *
 * @throws ClaimError
 */
export function planClaim(claim: unknown, options: PlanOptions): ClaimPlan {
  let name = "claim";
  try {
    const fields = object(claim, "the claim");
    const ref = claimRef(fields);
    name = `claim ${ref.namespace}/${ref.name}`;
    const status = optional(object, fields.status, "status") ?? {};
    const allocation = optional(object, status.allocation, "status.allocation");
    if (!allocation) {
      throw new Error("it is not allocated: the scheduler has not chosen its devices");
    }
    const { config } = optional(object, allocation.devices, ALLOCATION) ?? {};
    const results = allocationResults(claim, options.driver);
    const { pods, groups } = reservationOf(claim);
    return {
      claim: ref,
      pods,
      ...(groups.length > 0 && { groups }),
      shareable: !ownedByPod(fields),
      ...podClaimName(fields),
      attachments: attachments(claim, { results, configs: new Configs(config, options), options }),
    };
  } catch (error) {
    const message = errorMessage(error);
    throw new ClaimError(`${name}: ${message}`, { cause: error });
  }
}

/** A claim's identity. @throws FieldError */
export function claimRef(claim: unknown): ClaimRef {
  const metadata = object(object(claim, "the claim").metadata, "metadata");
  return {
    namespace: identity(metadata.namespace, "metadata.namespace"),
    name: identity(metadata.name, "metadata.name"),
    uid: identity(metadata.uid, "metadata.uid"),
  };
}

/** Claims made from a template belong to their pod (owner reference), and no other can use them. */
function ownedByPod(claim: Fields): boolean {
  const metadata = object(claim.metadata, "metadata");
  const owners = optional(array, metadata.ownerReferences, "metadata.ownerReferences") ?? [];
  return owners.some((owner) => {
    const { kind, controller } = object(owner, "metadata.ownerReferences");
    return kind === "Pod" && controller === true;
  });
}

/**
 * The controller that creates claims from templates sets this annotation; a value that it could not
 * have written is ignored.
 */
function podClaimName(claim: Fields): Pick<ClaimPlan, "podClaimName"> {
  const metadata = object(claim.metadata, "metadata");
  const annotations = optional(object, metadata.annotations, "metadata.annotations") ?? {};
  const name = annotations["resource.kubernetes.io/pod-claim-name"];
  return typeof name === "string" && LABEL.test(name) ? { podClaimName: name } : {};
}

function attachments(
  claim: unknown,
  { results, configs, options: { driver, interfaceOf } }: {
    readonly results: readonly AllocationResult[];
    readonly configs: Configs;
    readonly options: PlanOptions;
  },
): Attachment[] {
  const planned: Attachment[] = [];
  for (const { adminAccess, path, ...device } of results) {
    try {
      if (adminAccess) {
        throw new FieldError(join(path, "adminAccess"), "is not supported by this driver");
      }
      const { parameters, origin } = configs.for(device);
      const { ifName, network, pluginPaths, capabilityArgs } = parameters;
      assertNamedAddresses(claim, { network, capabilityArgs, path: origin.path });
      const allocated = interfaceOf(device.device);
      planned.push({
        ...device,
        ifName: ifName ?? writtenDefaultName(claim, { driver, device }) ?? "",
        ifNameGiven: ifName !== undefined,
        network: useInterface(network, { allocated, paths: pluginPaths }),
        capabilityArgs,
        origin,
      });
    } catch (error) {
      throw new Error(`request ${device.request}: ${errorMessage(error)}`, { cause: error });
    }
  }
  if (planned.length === 0) {
    throw new Error(`its allocation contains no device of driver ${driver}`);
  }
  return planned;
}

/** @throws FieldError if the claim names addresses of the network that it cannot get */
function assertNamedAddresses(
  claim: unknown,
  { network, capabilityArgs, path }:
    & Pick<Parameters, "network" | "capabilityArgs">
    & Pick<Origin, "path">,
): void {
  if (!network.addresses || capabilityArgs.ips === undefined) return;
  const { namespace, name } = claimRef(claim);
  assertNamed(network.addresses, capabilityArgs.ips as readonly string[], {
    asker: { namespace, claim: name },
    path: join(join(path, "capabilities"), "ips"),
  });
}

/** The opaque configurations of this driver in an allocation. */
class Configs {
  readonly #configs: {
    readonly source: "FromClass" | "FromClaim";
    readonly requests: readonly string[];
    readonly path: string;
    readonly parameters: unknown;
  }[] = [];
  /** Configurations that were already parsed: one that applies to many devices is parsed once. */
  readonly #read = new Map<string, Parameters>();
  readonly #networkOf: NetworkOf | undefined;

  constructor(value: unknown, { driver, networkOf }: PlanOptions) {
    this.#networkOf = networkOf;
    const list = optional(array, value, `${ALLOCATION}.config`) ?? [];
    for (const [i, item] of list.entries()) {
      const path = `${ALLOCATION}.config[${i}]`;
      const config = object(item, path);
      const opaque = optional(object, config.opaque, join(path, "opaque"));
      if (opaque?.driver !== driver) continue;
      const requests = optional(array, config.requests, join(path, "requests")) ?? [];
      const source = config.source;
      if (source !== "FromClass" && source !== "FromClaim") {
        throw new FieldError(
          join(path, "source"),
          `must be FromClass or FromClaim, not ${show(source)}`,
        );
      }
      this.#configs.push({
        source,
        requests: requests.map((name, j) => text(name, `${join(path, "requests")}[${j}]`)),
        path: join(join(path, "opaque"), "parameters"),
        parameters: opaque.parameters,
      });
    }
  }

  /**
   * The configuration that applies to a device's request, which may be named `request/subrequest`.
   */
  for(
    device: Pick<AllocatedDevice, "request">,
  ): { readonly parameters: Parameters; readonly origin: Origin } {
    const names = [device.request, baseRequest(device)];
    const all = this.#configs.filter(({ requests }) =>
      requests.length === 0 || requests.some((name) => names.includes(name))
    );
    for (const source of ["FromClaim", "FromClass"] as const) {
      const [first, second] = all.filter((config) => config.source === source);
      if (!first) continue;
      if (second) {
        throw new FieldError(
          second.path,
          `applies to the same request as ${first.path}; use "requests" to say which request each is for`,
        );
      }
      let parameters = this.#read.get(first.path);
      if (!parameters) {
        parameters = parseParameters(first.parameters, first.path, this.#networkOf);
        this.#read.set(first.path, parameters);
      }
      const from = source === "FromClass" ? "class" : "claim";
      const { form, definition } = parameters;
      const named = definition === undefined ? {} : { definition };
      return { parameters, origin: { from, path: first.path, form, ...named } };
    }
    throw new Error(
      "no configuration applies to it; add one for this driver to spec.devices.config of the " +
        "claim, or to spec.config of its device class",
    );
  }
}
