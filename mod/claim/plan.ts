import { type DeviceInterface, useInterface } from "./allocated_interface.ts";
import type { Attachment, ClaimRef, Origin } from "./attachment.ts";
import {
  allocated,
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
import { errorMessage } from "../async/error_message.ts";

/** What a claim asks of this driver on this node. */
export interface ClaimPlan {
  readonly claim: ClaimRef;
  /** The pods for which it is reserved. */
  readonly pods: readonly { readonly name: string; readonly uid: string }[];
  /** Whether further pods can come to use it: it was not made for one pod from a template. */
  readonly shareable: boolean;
  /** What its pod calls it, where it was made from a template. */
  readonly podClaimName?: string;
  /** In the order of the allocation's results; names that were not given are empty. */
  readonly attachments: readonly Attachment[];
}

export interface PlanOptions {
  readonly driver: string;
  /** What a device of this node stands for. Throws an Error for one that the node does not have. */
  readonly interfaceOf: (device: string) => DeviceInterface;
  /** The administrator's networks on this node. */
  readonly networkOf?: NetworkOf;
}

/** Why a claim cannot be served: the claim, the request where it is one's, and the cause. */
export class ClaimError extends Error {
  override readonly name = "ClaimError";
}

const ALLOCATION = "status.allocation.devices";

/**
 * Reads a ResourceClaim (resource.k8s.io/v1) as the API server gives it.
 *
 * Each result that names this driver becomes one attachment. Its configuration is that of the
 * claim, or else that of the device class: a claim's replaces the class's as a whole. Two that apply
 * to one request from the same source are refused, for which of them is meant cannot be told. The
 * allocated device's interface fills in what the configuration leaves out (see useInterface).
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
    const devices = optional(object, allocation.devices, ALLOCATION) ?? {};
    return {
      claim: ref,
      pods: podsOf(claim),
      shareable: !ownedByPod(fields),
      ...podClaimName(fields),
      attachments: attachments(devices, options),
    };
  } catch (error) {
    const message = errorMessage(error);
    throw new ClaimError(`${name}: ${message}`, { cause: error });
  }
}

/** The pods for which a claim is reserved. @throws FieldError */
export function podsOf(claim: unknown): { name: string; uid: string }[] {
  const status = optional(object, object(claim, "the claim").status, "status") ?? {};
  const consumers = optional(array, status.reservedFor, "status.reservedFor") ?? [];
  return consumers.flatMap((item, i) => {
    const path = `status.reservedFor[${i}]`;
    const { resource, name, uid } = object(item, path);
    if (resource !== "pods") return [];
    return [{ name: identity(name, join(path, "name")), uid: identity(uid, join(path, "uid")) }];
  });
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

/** The controller that makes claims from templates notes it; what it could not have written counts for nothing. */
function podClaimName(claim: Fields): Pick<ClaimPlan, "podClaimName"> {
  const metadata = object(claim.metadata, "metadata");
  const annotations = optional(object, metadata.annotations, "metadata.annotations") ?? {};
  const name = annotations["resource.kubernetes.io/pod-claim-name"];
  return typeof name === "string" && LABEL.test(name) ? { podClaimName: name } : {};
}

function attachments(devices: Fields, options: PlanOptions): Attachment[] {
  const { driver, interfaceOf } = options;
  const configs = new Configs(devices.config, options);
  const results = optional(array, devices.results, `${ALLOCATION}.results`) ?? [];
  const planned: Attachment[] = [];
  for (const [i, item] of results.entries()) {
    const path = `${ALLOCATION}.results[${i}]`;
    const result = object(item, path);
    if (result.driver !== driver) continue;
    const request = allocated(result.request, join(path, "request"));
    try {
      if (result.adminAccess === true) {
        throw new FieldError(join(path, "adminAccess"), "this driver attaches nothing by it");
      }
      const { parameters, origin } = configs.for(request);
      const { ifName, network, pluginPaths, capabilityArgs } = parameters;
      const device = allocated(result.device, join(path, "device"));
      const shareID = optional(allocated, result.shareID, join(path, "shareID"));
      planned.push({
        request,
        pool: allocated(result.pool, join(path, "pool")),
        device,
        ...(shareID !== undefined && { shareID }),
        ifName: ifName ?? "",
        ifNameGiven: ifName !== undefined,
        network: useInterface(network, { allocated: interfaceOf(device), paths: pluginPaths }),
        capabilityArgs,
        origin,
      });
    } catch (error) {
      throw new Error(
        `request ${request}: ${errorMessage(error)}`,
        { cause: error },
      );
    }
  }
  if (planned.length === 0) {
    throw new Error(`its allocation holds no device of driver ${driver}`);
  }
  return planned;
}

/** The opaque configurations of this driver in an allocation. */
class Configs {
  readonly #configs: {
    readonly source: "FromClass" | "FromClaim";
    readonly requests: readonly string[];
    readonly path: string;
    readonly parameters: unknown;
  }[] = [];
  /** Those read already: one that applies to many devices is read once. */
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

  /** What applies to a request, which may be named `request/subrequest`. */
  for(request: string): { readonly parameters: Parameters; readonly origin: Origin } {
    const parent = request.split("/")[0]!;
    const all = this.#configs.filter(({ requests }) =>
      requests.length === 0 || requests.includes(request) || requests.includes(parent)
    );
    for (const source of ["FromClaim", "FromClass"] as const) {
      const [first, second] = all.filter((config) => config.source === source);
      if (!first) continue;
      if (second) {
        throw new FieldError(
          second.path,
          `applies to the request like ${first.path}; name in "requests" which is for which`,
        );
      }
      let parameters = this.#read.get(first.path);
      if (!parameters) {
        parameters = parseParameters(first.parameters, first.path, this.#networkOf);
        this.#read.set(first.path, parameters);
      }
      const from = source === "FromClass" ? "class" : "claim";
      return { parameters, origin: { from, path: first.path, form: parameters.form } };
    }
    throw new Error(
      "no configuration applies to it; add one for this driver to spec.devices.config of the " +
        "claim, or to spec.config of its device class",
    );
  }
}
