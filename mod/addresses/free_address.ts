import { addressText, type Family, familyOf, ipNumber, type IpRange, without } from "./ip_range.ts";
import { type Asker, isFor, type NetworkAddresses, usable } from "./pools.ts";

/** Addresses in a block: neighbours share one, so that a set of them is small. */
const BLOCK_BITS = 4n;
const BLOCK = 1 << Number(BLOCK_BITS);
const FULL = (1 << BLOCK) - 1;

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

  /** Whether all addresses of a block are in the set. */
  isFull(block: bigint, family: Family): boolean {
    return this.#blocks[family].get(block) === FULL;
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
  taken: Pick<Taken, "has" | "isFull">,
  { node, asker }: { readonly node: string; readonly asker: Asker },
): Generator<string> {
  const reserved = (addresses.reserved ?? []).filter(({ address }) => familyOf(address) === family);
  const own = reserved.filter((each) => isFor(each, asker))
    // Those of the claim alone first.
    .toSorted((a, b) => Number(a.claim === undefined) - Number(b.claim === undefined));
  for (const { address } of own) {
    if (!taken.has(address)) yield address;
  }
  const except = reserved.map(({ address }) => {
    const value = ipNumber(address)!;
    return { first: value, last: value };
  });
  for (const pool of addresses.pools) {
    if (familyOf(pool.subnet) !== family) continue;
    const ranges = without(usable(pool), except);
    for (const { first, last } of blocksInOrder(ranges, node)) {
      if (taken.isFull(first >> BLOCK_BITS, family)) continue;
      for (let value = first; value <= last; value++) {
        const address = addressText(value, family);
        if (!taken.has(address)) yield address;
      }
    }
  }
}

/** The blocks of ranges, each cut to its range, in the node's own order. */
function* blocksInOrder(ranges: readonly IpRange[], node: string): Generator<IpRange> {
  const counts = ranges.map(({ first, last }) => (last >> BLOCK_BITS) - (first >> BLOCK_BITS) + 1n);
  const total = counts.reduce((sum, count) => sum + count, 0n);
  if (total === 0n) return;
  const seed = hash(node);
  const step = coprime(total, seed);
  let at = seed % total;
  for (let i = 0n; i < total; i++) {
    yield blockAt(ranges, { counts, at });
    at = (at + step) % total;
  }
}

function blockAt(
  ranges: readonly IpRange[],
  { counts, at }: { readonly counts: readonly bigint[]; readonly at: bigint },
): IpRange {
  let rest = at;
  for (const [i, { first, last }] of ranges.entries()) {
    if (rest >= counts[i]!) {
      rest -= counts[i]!;
      continue;
    }
    const block = (first >> BLOCK_BITS) + rest;
    const [begins, ends] = [block << BLOCK_BITS, (block + 1n << BLOCK_BITS) - 1n];
    return { first: begins > first ? begins : first, last: ends < last ? ends : last };
  }
  throw new RangeError(`block ${at} is beyond the last`);
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
