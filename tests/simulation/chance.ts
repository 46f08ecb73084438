/**
 * Random choices that a seed determines. Each draw names what it is for, and has numbers of its own
 * for that: a stimulus that is left out changes little of what the others meet.
 */
export class Chance {
  readonly #seed: number;
  readonly #purposes = new Map<string, { readonly hash: number; drawn: number }>();

  constructor(seed: number) {
    this.#seed = mix(seed >>> 0);
  }

  /** At least 0, below 1. */
  draw(purpose: string): number {
    let known = this.#purposes.get(purpose);
    if (!known) this.#purposes.set(purpose, known = { hash: hashOf(purpose), drawn: 0 });
    return mix(known.hash ^ this.#seed ^ Math.imul(++known.drawn, 0x9e3779b1)) / 2 ** 32;
  }

  hits(purpose: string, probability: number): boolean {
    return probability > 0 && this.draw(purpose) < probability;
  }

  /** A whole number from `least` to `most`. */
  between(purpose: string, least: number, most: number): number {
    return least + Math.floor(this.draw(purpose) * (most - least + 1));
  }

  /** A seed for something of its own. */
  fork(purpose: string): number {
    return Math.floor(this.draw(purpose) * 2 ** 32);
  }
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
