import type {
  AttachResult,
  CniResult,
  Finding,
  RuntimeConfig,
  ValidAttachment,
} from "../agent/model.ts";
import type { Cni, NothingRun } from "../agent/ports.ts";
import { errorMessage } from "../async/error_message.ts";
import type { NetworkList } from "../claim/network_list.ts";
import type { AddressBook } from "./address_book.ts";
import {
  type AddressedNetwork,
  filled,
  fixedIn,
  hasAddresses,
  withIpam,
} from "./filled_network.ts";
import { keepForMs } from "./pools.ts";
import { addressesIn } from "./result_addresses.ts";

/**
 * Runs plugins as the agent's other `Cni` does, with addresses of the cluster for the networks that
 * have them: taken before ADD, given back once DEL has succeeded.
 */
export class AddressedCni implements Cni {
  readonly #cni: Cni;
  readonly #book: Pick<AddressBook, "take" | "giveBack" | "of"> | undefined;

  /** @param book undefined where the agent reads no Networks of the cluster */
  constructor(cni: Cni, book: Pick<AddressBook, "take" | "giveBack" | "of"> | undefined) {
    this.#cni = cni;
    this.#book = book;
  }

  verify(network: NetworkList, signal: AbortSignal): Promise<void> {
    return this.#cni.verify(asPluginsSee(network), signal);
  }

  async add(
    network: NetworkList,
    runtime: RuntimeConfig,
    signal: AbortSignal,
  ): Promise<AttachResult> {
    if (!hasAddresses(network)) return await this.#cni.add(network, runtime, signal);
    const addresses = await this.#take(network, runtime, signal).catch((error) => {
      throw new NotTaken(errorMessage(error), { cause: error });
    });
    const given = filled(network, { runtime, addresses });
    return await this.#cni.add(given.network, given.runtime, signal);
  }

  async #take(
    network: AddressedNetwork,
    runtime: RuntimeConfig,
    signal: AbortSignal,
  ): Promise<string[]> {
    if (!this.#book) {
      throw new Error(
        `network ${network.name} has addresses of the cluster, and the agent of this node reads no ` +
          "Networks: set networks.objects",
      );
    }
    const { containerID, ifName, claim, pod } = runtime;
    const taken = await this.#book.take({
      network: network.name,
      pools: network.addresses,
      owner: { claim, pod, containerID, ifName },
      fixed: fixedIn(runtime),
    }, signal);
    return taken.map(({ address }) => address);
  }

  /** An address whose plugins have not let it go stays taken, and so does one that cannot be given back. */
  async del(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (!hasAddresses(network)) return await this.#cni.del(network, runtime, prevResult, signal);
    const { containerID, ifName } = runtime;
    const owner = { network: network.name, containerID, ifName };
    const known = this.#book?.of(owner).map(({ address }) => address) ?? [];
    const shown = prevResult ? addressesIn(prevResult, network.addresses) : [];
    const addresses = known.length > 0 ? known : shown;
    const given = filled(network, { runtime, addresses });
    await this.#cni.del(given.network, given.runtime, prevResult, signal);
    const keepMs = keepForMs(network.addresses);
    await this.#book?.giveBack(owner, { keepMs, signal });
  }

  check(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<Finding> {
    if (!hasAddresses(network)) return this.#cni.check(network, runtime, prevResult, signal);
    const addresses = addressesIn(prevResult, network.addresses);
    const given = filled(network, { runtime, addresses });
    return this.#cni.check(given.network, given.runtime, prevResult, signal);
  }

  gc(
    network: NetworkList,
    options: { readonly valid: readonly ValidAttachment[]; readonly signal: AbortSignal },
  ): Promise<boolean> {
    return this.#cni.gc(asPluginsSee(network), options);
  }

  missingPlugins(network: NetworkList): readonly string[] {
    return this.#cni.missingPlugins(asPluginsSee(network));
  }
}

/** There were no addresses, so that no plugin was run. */
class NotTaken extends Error implements NothingRun {
  readonly ranNothing = true;
}

/** Without an attachment there are no addresses, and the plugins are the same. */
function asPluginsSee(network: NetworkList): NetworkList {
  return hasAddresses(network) ? withIpam(network, []) : network;
}
