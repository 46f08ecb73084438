import type {
  AttachResult,
  CniResult,
  Finding,
  RuntimeConfig,
  ValidAttachment,
} from "../agent/model.ts";
import type { Cni } from "../agent/ports.ts";
import type { NetworkList } from "../claim/network_list.ts";
import type { AddressBook } from "./address_book.ts";
import type { NetworkAddress } from "./address_object.ts";
import {
  type AddressedNetwork,
  filled,
  fixedIn,
  hasAddresses,
  withIpam,
} from "./filled_network.ts";
import type { OwnerKey } from "./own_addresses.ts";
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
    { begins, signal }: { readonly begins?: () => Promise<void>; readonly signal: AbortSignal },
  ): Promise<AttachResult> {
    if (!hasAddresses(network)) return await this.#cni.add(network, runtime, { begins, signal });
    let hasBegun = false;
    try {
      const addresses = await this.#take(network, runtime, signal);
      const given = filled(network, { runtime, addresses });
      return await this.#cni.add(given.network, given.runtime, {
        begins: async () => {
          await begins?.();
          hasBegun = true;
        },
        signal,
      });
    } catch (error) {
      // No DEL follows. What cannot be given back now is used by the next try, or collected.
      if (!hasBegun && this.#known(network, runtime).length > 0) {
        await this.#giveBack(network, runtime, signal).catch(() => {});
      }
      throw error;
    }
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
    const known = this.#known(network, runtime).map(({ address }) => address);
    const shown = prevResult ? addressesIn(prevResult, network.addresses) : [];
    const addresses = known.length > 0 ? known : shown;
    const given = filled(network, { runtime, addresses });
    await this.#cni.del(given.network, given.runtime, prevResult, signal);
    await this.#giveBack(network, runtime, signal);
  }

  #known(network: AddressedNetwork, runtime: RuntimeConfig): readonly NetworkAddress[] {
    return this.#book?.of(ownerOf(network, runtime)) ?? [];
  }

  async #giveBack(
    network: AddressedNetwork,
    runtime: RuntimeConfig,
    signal: AbortSignal,
  ): Promise<void> {
    const keepMs = keepForMs(network.addresses);
    await this.#book?.giveBack(ownerOf(network, runtime), { keepMs, signal });
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

function ownerOf({ name }: NetworkList, { containerID, ifName }: RuntimeConfig): OwnerKey {
  return { network: name, containerID, ifName };
}

/** Without an attachment there are no addresses, and the plugins are the same. */
function asPluginsSee(network: NetworkList): NetworkList {
  return hasAddresses(network) ? withIpam(network, []) : network;
}
