/**
 * Addresses of the cluster: how many requests they cost while many nodes take them at once, and the
 * memory that agents need to know them.
 */
import { AddressBook } from "../../mod/addresses/address_book.ts";
import { addressObjectName, type AddressOwner } from "../../mod/addresses/address_object.ts";
import { freeAddresses, Taken } from "../../mod/addresses/free_address.ts";
import { parseAddresses } from "../../mod/addresses/parse_addresses.ts";
import type { NetworkAddresses } from "../../mod/addresses/pools.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import { systemClock } from "../../mod/async/clock.ts";
import { Limiter } from "../../mod/async/limiter.ts";
import { FakeAddressApi } from "../support/fake_address_api.ts";
import { percentile, time } from "./statistics.ts";

export const NODES = 20;
export const ATTACHMENTS = 2_000;
/** Operations of an agent at the same time, by default on four cores. */
const WIDTH = 8;
const POOLS: NetworkAddresses = parseAddresses({
  pools: [{ subnet: "10.40.0.0/20" }],
}, "addresses");
const SIZE = 4_094;
const never = new AbortController().signal;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** What taking addresses at once has come to. */
export interface TakenAtOnce {
  readonly attachments: number;
  readonly failed: number;
  /** Addresses that two attachments have. */
  readonly twice: number;
  readonly conflicts: number;
  /** Requests for each address beyond its create, lists among them. */
  readonly beyond: number;
  readonly p50: number;
  readonly p99: number;
  readonly problem: string | undefined;
}

/**
 * All nodes take addresses at the same time, each as many, and as many at once as an agent does.
 *
 * @param options.used the part of the range that is taken before, all over it
 * @param options.most how many are taken, if as many are left
 */
export async function measureTaking(
  { used, most = ATTACHMENTS }: { readonly used: number; readonly most?: number },
): Promise<TakenAtOnce> {
  const chance = random(7);
  const store = new FakeAddressApi();
  store.before = () => systemClock.sleep(2 + 6 * chance());
  store.lag = () => systemClock.sleep(20 + 180 * chance());
  fill(store, { count: Math.floor(used * SIZE), chance });
  const left = SIZE - store.all.length;
  const each = Math.floor(Math.min(most, left) / NODES);
  let conflicts = 0;
  const over = new AbortController();
  await using running = new AsyncDisposableStack();
  const books = Array.from({ length: NODES }, (_, i) => {
    const book = new AddressBook({
      api: store,
      node: `node-${i}`,
      clock: systemClock,
      log: quiet,
      metrics: { taken() {}, conflicted: () => void conflicts++, held() {}, requested() {} },
      events: { warn() {} },
    });
    running.use(book.lead(() => undefined, over.signal));
    return book;
  });
  const times: number[] = [];
  let problem: string | undefined;
  const taking = books.flatMap((book, i) => {
    const limiter = new Limiter(WIDTH);
    return Array.from({ length: each }, (_, n) =>
      limiter.run(async () => {
        const wanted = { network: "lan", pools: POOLS, owner: ownerOf(i, n), fixed: [] };
        times.push(
          await time(() =>
            book.take(wanted, never).catch((error) => {
              problem ??= errorMessage(error);
              throw error;
            })
          ),
        );
      }));
  });
  const failed = (await Promise.allSettled(taking)).filter(({ status }) => status === "rejected");
  const attachments = taking.length;
  const owners = new Set(store.all.map(({ owner }) => owner.containerID));
  return {
    attachments,
    failed: failed.length,
    twice: store.all.length - owners.size,
    conflicts,
    beyond: (store.asked.length - attachments) / attachments,
    p50: percentile(times, 50),
    p99: percentile(times, 99),
    problem,
  };
}

/** Takes addresses of the range, all over it, as pods that came and went leave them. */
function fill(
  store: FakeAddressApi,
  { count, chance }: { readonly count: number; readonly chance: () => number },
): void {
  const asker = { namespace: "default", claim: "any" };
  const free = [...freeAddresses(POOLS, 4, new Taken(), { node: "any", asker })];
  for (let i = 0; i < count; i++) {
    const at = i + Math.floor(chance() * (free.length - i));
    [free[i], free[at]] = [free[at]!, free[i]!];
    store.put({ network: "lan", address: free[i]!, owner: { ...ownerOf(99, i), node: "others" } });
  }
}

function ownerOf(node: number, n: number): Omit<AddressOwner, "node"> {
  const id = `${node}-${n}`;
  return {
    claim: { namespace: "default", name: `claim-${id}`, uid: `claim-${id}` },
    pod: { namespace: "default", name: `pod-${id}`, uid: `pod-${id}` },
    containerID: `sandbox-${id}`,
    ifName: "net1",
  };
}

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let value = Math.imul(state ^ state >>> 15, 1 | state);
    value = value + Math.imul(value ^ value >>> 7, 61 | value) ^ value;
    return ((value ^ value >>> 14) >>> 0) / 2 ** 32;
  };
}

export const NETWORKS = 1_000;
export const ADDRESSES = 20_000;

/** What an agent keeps of so many Networks and addresses, in MB. */
export interface AddressMemory {
  /** Any agent: the Networks, and the addresses of one that has them all. */
  readonly agent: number;
  /** What the one that holds the Lease keeps besides. */
  readonly holder: number;
}

/** Measures in a process of its own, where nothing else moves the heap. */
export async function measureAddressMemory(): Promise<AddressMemory> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", "--quiet", "--v8-flags=--expose-gc"],
      new URL("address_memory.ts", import.meta.url).pathname,
    ],
    stdout: "piped",
  }).output();
  if (!success) throw new Error("the memory of addresses could not be measured");
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** As the API server has it. */
export function addressJson(network: string, address: string, n: number): string {
  const uid = () => crypto.randomUUID();
  return JSON.stringify({
    apiVersion: "dra.networking/v1alpha1",
    kind: "NetworkAddress",
    metadata: {
      name: addressObjectName(network, address),
      uid: uid(),
      resourceVersion: `${1_000_000 + n}`,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: {
      network,
      address,
      node: `node-${n % 500}`,
      claim: { namespace: `team-${n % 50}`, name: `web-${n}-lan-x2x9z`, uid: uid() },
      pod: { namespace: `team-${n % 50}`, name: `web-${n}-7d4b9c6f5-x2x9z`, uid: uid() },
      containerID: `${uid()}${uid()}`.replaceAll("-", ""),
      ifName: "net1",
    },
  });
}
