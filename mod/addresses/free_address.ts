import { addressText, type Family, familyOf, ipNumber, type IpRange, without } from "./ip_range.ts";
import { type AddressPool, type Asker, isFor, type NetworkAddresses, usable } from "./pools.ts";

/** Addresses in a block: neighbours share one, so that a set of them is small. */
const BLOCK_BITS = 4n;
const BLOCK = 1 << Number(BLOCK_BITS);

/** A set of addresses; those that lie side by side share memory. */
export class Taken {
  /** For each family, the bits of each block. */
  readonly #blocks = { 4: new Map<bigint, number>(), 6: new Map<bigint, number>() };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(address: string): boolean {
    const { blocks, block, bit } = this.#place(address);
    return ((blocks.get(block) ?? 0) & bit) !== 0;
  }

  add(address: string): void {
    const { blocks, block, bit } = this.#place(address);
    const before = blocks.get(block) ?? 0;
    if ((before & bit) !== 0) return;
    blocks.set(block, before | bit);
    this.#size++;
  }

  delete(address: string): void {
    const { blocks, block, bit } = this.#place(address);
    const before = blocks.get(block) ?? 0;
    if ((before & bit) === 0) return;
    if (before === bit) blocks.delete(block);
    else blocks.set(block, before & ~bit);
    this.#size--;
  }

  /** The addresses of a block of 16 that are in the set: bit 0 stands for the first one. */
  bits(block: bigint, family: Family): number {
    return this.#blocks[family].get(block) ?? 0;
  }

  #place(address: string) {
    const value = ipNumber(address)!;
    const blocks = this.#blocks[familyOf(address)];
    return { blocks, block: value >> BLOCK_BITS, bit: 1 << Number(value & 15n) };
  }
}

/**
 * Free addresses of a family, in the order in which a node is to try them: first those that are reserved
 * for the claim; then the pools in their order. Each node goes through the blocks of a pool in an order
 * of its own, and through the addresses of a block one by one: two nodes seldom try the same one.
 *
 * Each address comes once; it is looked up in `taken` when its turn comes.
 */
export function* freeAddresses(
  addresses: NetworkAddresses,
  family: Family,
  taken: Pick<Taken, "has" | "bits">,
  { node, asker }: { readonly node: string; readonly asker: Asker },
): Generator<string> {
  const reserved = (addresses.reserved ?? []).filter(({ address }) => familyOf(address) === family);
  const own = reserved.filter((each) => isFor(each, asker))
    // Those of the claim alone first.
    .toSorted((a, b) => Number(a.claim === undefined) - Number(b.claim === undefined));
  for (const { address } of own) {
    if (!taken.has(address)) yield address;
  }
  for (const pool of addresses.pools) {
    if (familyOf(pool.subnet) !== family) continue;
    // Whoever asks for another one has met another node, which goes on in that block: one of each first.
    const met: Generator<string>[] = [];
    for (const block of blocksOf(pool, addresses).inOrder(node)) {
      if (isFull(block, taken.bits(block.first >> BLOCK_BITS, family))) continue;
      const free = freeIn(block, { family, taken });
      const { value, done } = free.next();
      if (done) continue;
      met.push(free);
      yield value;
    }
    for (const rest of met) yield* rest;
  }
}

/** Whether all of a block's addresses are taken: in a range that is nearly full, most blocks are. */
function isFull({ first, last }: IpRange, bits: number): boolean {
  const own = (2 << place(last)) - (1 << place(first));
  return (bits & own) === own;
}

/** The free addresses of a block, one by one. */
function* freeIn(
  { first, last }: IpRange,
  { family, taken }: { readonly family: Family; readonly taken: Pick<Taken, "has" | "bits"> },
): Generator<string, undefined> {
  const bits = taken.bits(first >> BLOCK_BITS, family);
  for (let at = place(first); at <= place(last); at++) {
    if ((bits >> at & 1) !== 0) continue;
    const address = addressText((first >> BLOCK_BITS << BLOCK_BITS) + BigInt(at), family);
    if (!taken.has(address)) yield address;
  }
}

/** Where an address stands in its block. */
function place(value: bigint): number {
  return Number(value & BigInt(BLOCK - 1));
}

/** By what they were made of: all attachments of a Network share them. */
const BLOCKS = new WeakMap<NetworkAddresses, WeakMap<AddressPool, Blocks>>();

/** The blocks of a pool, without reserved addresses. */
function blocksOf(pool: AddressPool, addresses: NetworkAddresses): Blocks {
  const made = BLOCKS.get(addresses) ?? new WeakMap<AddressPool, Blocks>();
  BLOCKS.set(addresses, made);
  const known = made.get(pool);
  if (known) return known;
  const family = familyOf(pool.subnet);
  const reserved = (addresses.reserved ?? []).filter(({ address }) => familyOf(address) === family)
    .map(({ address }) => {
      const value = ipNumber(address)!;
      return { first: value, last: value };
    });
  const blocks = new Blocks(without(usable(pool), reserved));
  made.set(pool, blocks);
  return blocks;
}

/** The blocks that ranges lie in, each cut to its range. */
class Blocks {
  readonly #ranges: readonly IpRange[];
  /** How many blocks there are before each range. */
  readonly #before: readonly bigint[];
  readonly #total: bigint;

  /** @param ranges in ascending order */
  constructor(ranges: readonly IpRange[]) {
    this.#ranges = ranges;
    let total = 0n;
    this.#before = ranges.map(({ first, last }) => {
      const before = total;
      total += (last >> BLOCK_BITS) - (first >> BLOCK_BITS) + 1n;
      return before;
    });
    this.#total = total;
  }

  /** All, in the node's own order. */
  *inOrder(node: string): Generator<IpRange> {
    const total = this.#total;
    if (total === 0n) return;
    const seed = hash(node);
    const step = coprime(total, seed);
    let at = seed % total;
    for (let i = 0n; i < total; i++) {
      yield this.#at(at);
      at += step;
      if (at >= total) at -= total;
    }
  }

  #at(at: bigint): IpRange {
    let [low, high] = [0, this.#ranges.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#before[middle]! <= at) low = middle;
      else high = middle - 1;
    }
    const { first, last } = this.#ranges[low]!;
    const block = (first >> BLOCK_BITS) + at - this.#before[low]!;
    const [begins, ends] = [block << BLOCK_BITS, (block + 1n << BLOCK_BITS) - 1n];
    return { first: begins > first ? begins : first, last: ends < last ? ends : last };
  }
}

/** A step by which one comes past each of so many places before one comes back. */
function coprime(total: bigint, seed: bigint): bigint {
  let step = (seed >> 64n) % total;
  if (step === 0n) step = 1n;
  while (greatestCommonDivisor(step, total) !== 1n) step = step % total + 1n;
  return step;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

/** 128 bits of a text that differ much where the texts differ little (FNV-1a). */
function hash(text: string): bigint {
  let value = 0x6c62272e07bb014262b821756295c58dn;
  for (const byte of new TextEncoder().encode(text)) {
    value = BigInt.asUintN(128, (value ^ BigInt(byte)) * 0x0000000001000000000000000000013bn);
  }
  return value;
}
