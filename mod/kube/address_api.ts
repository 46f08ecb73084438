import { isDeepStrictEqual } from "node:util";
import {
  ADDRESS_PATH,
  addressObjectName,
  type NetworkAddress,
  parseNetworkAddress,
  type StoredAddress,
  toObject,
} from "../addresses/address_object.ts";
import {
  type AddressApi,
  AddressApiError,
  type AddressMetrics,
  type AddressNews,
  type AddressRequest,
  type Created,
  type Removed,
  type Selection,
} from "../addresses/ports.ts";
import { errorMessage } from "../async/error_message.ts";
import type { Clock } from "../async/clock.ts";
import { type ObjectSource, ReadError } from "../cluster/ports.ts";
import type { KubeConnection, Request } from "./connection.ts";
import { KubeError } from "./error.ts";
import { followObjects } from "../cluster/follow_objects.ts";

/** How often a create is tried while objects of its name come and go. */
const CREATES = 3;
/** What the API server has not done when it answers so, and would not do either a moment later. */
const REFUSED: readonly number[] = [400, 401, 403, 404, 405, 413, 415, 422];

export interface KubeAddressApiOptions {
  readonly source: ObjectSource;
  readonly clock: Clock;
  readonly metrics: Pick<AddressMetrics, "requested">;
}

/** The NetworkAddresses of a cluster. */
export class KubeAddressApi implements AddressApi {
  readonly #connection: KubeConnection;
  readonly #options: KubeAddressApiOptions;

  constructor(connection: KubeConnection, options: KubeAddressApiOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async create(
    address: NetworkAddress,
    { whose, signal }: { readonly whose: boolean; readonly signal: AbortSignal },
  ): Promise<Created> {
    const body = toObject(address);
    for (let tries = 1;; tries++) {
      try {
        const made = await this.#ask("create", {
          method: "POST",
          path: ADDRESS_PATH,
          body,
          signal,
        });
        return { is: "created", address: stored(made) };
      } catch (error) {
        if (!isExisting(error)) throw problem(error, "create");
        if (!whose) return { is: "there", address: undefined };
        const found = await this.#read(address, signal);
        // Else it has gone meanwhile: its name is free.
        if (found !== undefined) return { is: "there", address: readable(found) };
        if (tries >= CREATES) throw problem(error, "create");
      }
    }
  }

  async get(address: NetworkAddress, signal: AbortSignal): Promise<StoredAddress | undefined> {
    const found = await this.#read(address, signal);
    return found === undefined ? undefined : readable(found);
  }

  async remove(address: StoredAddress, signal: AbortSignal): Promise<Removed> {
    const { uid, resourceVersion } = address;
    const preconditions = { uid, resourceVersion };
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions };
    try {
      await this.#ask("delete", { method: "DELETE", path: pathOf(address), body, signal });
    } catch (error) {
      if (isMissing(error, address)) return "gone";
      if (isOtherThanRead(error)) return "changed";
      throw problem(error, "delete");
    }
    return "gone";
  }

  async update(
    address: NetworkAddress,
    { over, signal }: { readonly over: StoredAddress; readonly signal: AbortSignal },
  ): Promise<StoredAddress | undefined> {
    const found = await this.#read(address, signal);
    const current = found === undefined ? undefined : readable(found);
    if (current?.uid !== over.uid) return undefined;
    if (isDeepStrictEqual(specOf(current), specOf(address))) return current;
    if (!isDeepStrictEqual(specOf(current), specOf(over))) return undefined;
    // With its resourceVersion: whoever has changed it meanwhile was quicker.
    const body = { ...found as Readonly<Record<string, unknown>>, spec: specOf(address) };
    try {
      return stored(
        await this.#ask("update", { method: "PUT", path: pathOf(address), body, signal }),
      );
    } catch (error) {
      if (isStatus(error, 409) || isMissing(error, address)) return undefined;
      throw problem(error, "update");
    }
  }

  async *follow(selection: Selection, signal: AbortSignal): AsyncGenerator<AddressNews> {
    const { source, clock, metrics } = this.#options;
    const field = selection.by === "node"
      ? `spec.node=${selection.node}`
      : `spec.network=${selection.network}`;
    const path = `${ADDRESS_PATH}?${new URLSearchParams({ fieldSelector: field })}`;
    const counted: ObjectSource = {
      list: (at, until) => this.#counted("list", source.list(at, until)),
      watch: (at, from) => {
        metrics.requested("watch");
        return source.watch(at, from);
      },
    };
    for await (const news of followObjects(counted, { path, clock, signal })) {
      switch (news.type) {
        case "listing":
        case "listed":
          yield news;
          break;
        case "failed":
          yield { type: "failed", cause: explained(news.error) };
          break;
        case "set":
        case "deleted": {
          const address = readable(news.object);
          if (address) yield { type: news.type, address };
        }
      }
    }
  }

  /** Each page is a request. */
  async *#counted<T>(request: AddressRequest, pages: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const page of pages) {
      this.#options.metrics.requested(request);
      yield page;
    }
  }

  async #read(address: NetworkAddress, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#ask("get", { method: "GET", path: pathOf(address), signal });
    } catch (error) {
      if (isMissing(error, address)) return undefined;
      throw problem(error, "get");
    }
  }

  #ask(request: AddressRequest, what: Request): Promise<unknown> {
    this.#options.metrics.requested(request);
    return this.#connection.request(what);
  }
}

function pathOf({ network, address }: NetworkAddress): string {
  return `${ADDRESS_PATH}/${encodeURIComponent(addressObjectName(network, address))}`;
}

function specOf(address: NetworkAddress): unknown {
  return toObject(address).spec;
}

function stored(object: unknown): StoredAddress {
  return parseNetworkAddress(object);
}

/** Undefined for an object that the agent does not understand: someone else wrote it. */
function readable(object: unknown): StoredAddress | undefined {
  try {
    return stored(object);
  } catch {
    return undefined;
  }
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof KubeError && error.status === status;
}

function isExisting(error: unknown): boolean {
  return isStatus(error, 409) && /already exists/.test((error as KubeError).problem);
}

/** Whether the object of that name has another UID or resourceVersion than the precondition. */
function isOtherThanRead(error: unknown): boolean {
  return isStatus(error, 409) && /precondition/i.test((error as KubeError).problem);
}

/** Whether the API server says that it has no such object, rather than no such kind. */
function isMissing(error: unknown, { network, address }: NetworkAddress): boolean {
  return isStatus(error, 404) &&
    (error as KubeError).problem.includes(`"${addressObjectName(network, address)}"`);
}

function problem(error: unknown, verb: string): AddressApiError {
  const status = error instanceof KubeError ? error.status : undefined;
  const outcome = status !== undefined && REFUSED.includes(status) ? "refused" : "unknown";
  const message = status === 403
    ? `the agent has no right to ${verb} networkaddresses: give its user the rules of the chart's ` +
      `ClusterRole (${(error as KubeError).problem})`
    : status === 404
    ? NOT_SERVED
    : errorMessage(error);
  return new AddressApiError(message, outcome, { cause: error });
}

/** Why the addresses cannot be followed. */
function explained(error: unknown): string {
  if (!(error instanceof ReadError)) return errorMessage(error);
  switch (error.reason) {
    case "forbidden":
      return "the agent has no right to get, list and watch networkaddresses: give its user the " +
        "rules of the chart's ClusterRole";
    case "not-served":
      return NOT_SERVED;
    default:
      return error.message;
  }
}

const NOT_SERVED =
  "the cluster does not have the kind NetworkAddress: apply the CustomResourceDefinitions of the chart";
