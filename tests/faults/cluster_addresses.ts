import {
  ADDRESS_PATH,
  addressObjectName,
  type NetworkAddress,
  toObject,
} from "../../mod/addresses/address_object.ts";
import type { Clock } from "../../mod/async/clock.ts";
import { AddressCollector, BETWEEN_LOOKS_MS } from "../../mod/duties/address_collector.ts";
import { AddressUses, liveAddress } from "../../mod/duties/address_use.ts";
import type { CollectorApi } from "../../mod/duties/ports.ts";
import { failure } from "../../mod/simulator/failure.ts";
import type { StoredObject } from "../../mod/simulator/stored_objects.ts";
import { linksOf } from "./links.ts";
import { ADDRESSED } from "./networks.ts";
import { runningSandbox } from "./pods.ts";
import { NODE, shown, type World } from "./world.ts";

/** Another node of the cluster, of which only the addresses exist. */
const OTHER_NODE = "node-2";

/** A NetworkAddress as the API server has it. */
interface AddressObject extends StoredObject {
  readonly spec: ReturnType<typeof toObject>["spec"];
}

/**
 * The NetworkAddresses of the cluster: what goes wrong with requests for them, another node that
 * takes and frees addresses of the same pool, and a second agent that collects them.
 */
export class ClusterAddresses {
  readonly #world: World;
  #races = 0;
  #lost = 0;
  #gaps = 0;
  readonly #elsewhere = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    world.api.objects.serve(ADDRESS_PATH);
  }

  get #all(): AddressObject[] {
    return this.#world.api.objects.all(ADDRESS_PATH) as AddressObject[];
  }

  /** Another node is quicker at the next creates. */
  loseRaces(times: number): void {
    this.#races += times;
  }

  /** The next writes are done, but nobody hears of it. */
  loseAnswers(times: number): void {
    this.#lost += times;
  }

  /** All watches end, and the API server has forgotten what the next ones want to go on from. */
  forgetChanges(times: number): void {
    this.#gaps += times;
    this.#world.api.objects.endWatches();
  }

  /** Faults that wait for a request are over, and the other node has no addresses. */
  end(): void {
    this.#races = this.#lost = this.#gaps = 0;
    for (const name of this.#elsewhere) this.#free(name);
  }

  /** The other node takes some that are free, and gives them back later. */
  async takeElsewhere(count: number, lasts: number): Promise<void> {
    const used = new Set(this.#all.map(({ spec }) => spec.address));
    const free = ADDRESSED.addresses.filter((address) => !used.has(address)).slice(0, count);
    const names = free.map((address) => this.#take(address));
    await new Promise((resolve) => setTimeout(resolve, lasts));
    for (const name of names) this.#free(name);
  }

  /**
   * An agent that believes it holds the Lease collects addresses, and finds no Node of the name of the
   * node: it must go by pods and claims.
   */
  async collect(): Promise<void> {
    let elapsed = 0;
    const clock = {
      now: () => new Date(),
      elapsed: () => elapsed,
      sleep: () => Promise.resolve(),
    } satisfies Clock;
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const collector = new AddressCollector(this.#collectorApi(), { clock, log });
    for (let look = 0; look < 2; look++) {
      const uses = new AddressUses();
      const known = new Map(this.#all.map((each) => [each.metadata.name, uses.read(each)]));
      await collector.round(known, AbortSignal.timeout(10_000));
      elapsed += BETWEEN_LOOKS_MS;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** What a request is answered with instead of the right answer; undefined for the right one. */
  async answer(request: Request): Promise<Response | undefined> {
    const url = new URL(request.url);
    if (!url.pathname.startsWith(ADDRESS_PATH)) return undefined;
    if (request.method === "GET") {
      const isWatch = url.searchParams.get("watch") === "true";
      if (!isWatch || this.#gaps === 0) return undefined;
      this.#gaps--;
      return failure(410, "Expired", "too old resource version");
    }
    if (request.method === "POST") await this.#beforeCreate(await request.clone().json());
    const name = decodeURIComponent(url.pathname.slice(ADDRESS_PATH.length + 1));
    if (request.method === "DELETE") {
      await this.#checkUnused(name, await request.clone().json(), "the agent");
    }
    if (this.#lost === 0) return undefined;
    this.#lost--;
    await this.#world.api.objects.answer(request, url);
    this.#world.record.note(`the answer to ${request.method} ${url.pathname} is lost`);
    return failure(504, "Timeout", "the request timed out");
  }

  async #beforeCreate({ metadata, spec }: AddressObject): Promise<void> {
    const { record } = this.#world;
    this.#world.record.checked("addresses");
    if (spec.node === NODE && !await this.#world.isOnRecord(spec.claim.uid, spec.containerID)) {
      const what = `${metadata.name} is taken for ${spec.containerID}, which is not on record`;
      record.violation("addresses", what);
    }
    if (this.#races === 0 || this.#all.some((each) => each.metadata.name === metadata.name)) return;
    this.#races--;
    record.note(`${OTHER_NODE} takes ${metadata.name} first`);
    this.#take(spec.address);
  }

  /** What is deleted must no longer be the address of an interface, and its DEL must have begun. */
  async #checkUnused(
    name: string,
    { preconditions }: { readonly preconditions?: { readonly uid?: string } },
    who: "the agent" | "the collector",
  ): Promise<void> {
    const found = this.#all.find(({ metadata }) => metadata.name === name);
    if (!found || found.metadata.uid !== preconditions?.uid) return;
    const { plugins, record, sandboxes } = this.#world;
    const { containerID, ifName, address } = found.spec;
    record.checked("addresses");
    const sandbox = sandboxes.get(containerID);
    if (!sandbox) return;
    const link = (await linksOf(sandbox)).get(ifName);
    // The namespace of a sandbox that has ended may have no path any more, and yet live.
    const isAdded = who === "the agent" && await plugins.lastBegun(containerID, ifName) === "ADD";
    if (!isAdded && link?.address?.split("/")[0] !== address) return;
    record.violation("addresses", `${who} frees ${name}, which ${ifName} of ${shown(sandbox)} has`);
  }

  #take(address: string): string {
    const who = { namespace: "default", name: "elsewhere", uid: crypto.randomUUID() };
    const taken: NetworkAddress = {
      network: ADDRESSED.name,
      address,
      owner: {
        node: OTHER_NODE,
        claim: who,
        pod: who,
        containerID: `elsewhere-${who.uid}`,
        ifName: "net1",
      },
    };
    const object = toObject(taken);
    const metadata = { ...object.metadata, uid: crypto.randomUUID() };
    this.#world.api.objects.put(ADDRESS_PATH, { ...object, metadata });
    this.#elsewhere.add(metadata.name);
    return metadata.name;
  }

  #free(name: string): void {
    this.#elsewhere.delete(name);
    const found = this.#all.find(({ metadata }) => metadata.name === name);
    if (found?.spec.node === OTHER_NODE) this.#world.api.objects.delete(ADDRESS_PATH, found);
  }

  #collectorApi(): CollectorApi {
    const { api, pods } = this.#world;
    const find = (name: string) => this.#all.find(({ metadata }) => metadata.name === name);
    return {
      // The other node is not collected: its pods are not here.
      nodes: () => Promise.resolve(new Set([OTHER_NODE])),
      hasNode: (name) => Promise.resolve(name === OTHER_NODE),
      hasPod: ({ uid }) => Promise.resolve([...pods.values()].some((pod) => pod.uid === uid)),
      isReserved: ({ name, uid }, { pod }) => {
        const claim = api.get("default", name);
        const users = (claim?.status?.reservedFor ?? []) as readonly { readonly uid: string }[];
        return Promise.resolve(
          claim?.metadata.uid === uid && users.some((user) => user.uid === pod.uid),
        );
      },
      address: (name) => {
        const found = find(name);
        return Promise.resolve(found && liveAddress(found));
      },
      remove: async ({ name, uid, resourceVersion }) => {
        await this.#checkUnused(name, { preconditions: { uid } }, "the collector");
        const found = find(name);
        const isSame = found?.metadata.uid === uid &&
          found.metadata.resourceVersion === resourceVersion;
        if (isSame) api.objects.delete(ADDRESS_PATH, found);
        return isSame;
      },
    };
  }

  /** What is wrong once all is quiet. */
  async *problems(): AsyncGenerator<string> {
    const living = new Set<string>();
    const holders = new Map<string, string>();
    for (const pod of this.#world.pods.values()) {
      const sandbox = runningSandbox(pod);
      if (!sandbox?.netns) continue;
      const links = await linksOf(sandbox);
      for (const claim of pod.claims) {
        for (const wanted of claim.wanted) {
          if (wanted.network !== "addressed") continue;
          const at = `${wanted.interface} of ${shown(sandbox)}`;
          living.add(`${sandbox.id} ${wanted.interface}`);
          const address = links.get(wanted.interface)?.address?.split("/")[0];
          if (address === undefined) continue;
          const other = holders.get(address);
          if (other) yield `${address} is held by ${other} and ${at}`;
          holders.set(address, at);
          const name = addressObjectName(ADDRESSED.name, address);
          const object = this.#all.find(({ metadata }) => metadata.name === name);
          const { containerID, ifName } = object?.spec ?? {};
          if (containerID === sandbox.id && ifName === wanted.interface) continue;
          const said = object ? `is that of ${ifName} of ${containerID}` : "is not there";
          yield `${at} has ${address}, whose object ${said}`;
        }
      }
    }
    const seen = new Set<string>();
    for (const { metadata, spec } of this.#all) {
      const key = `${spec.containerID} ${spec.ifName}`;
      if (spec.node === NODE && living.has(key) && !seen.has(key)) seen.add(key);
      else yield `${metadata.name} is left of ${spec.ifName} of ${spec.containerID}`;
    }
  }
}
