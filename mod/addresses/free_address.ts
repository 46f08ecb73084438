import type { Asker, NetworkAddresses } from "./pools.ts";
export class Taken {
  readonly #s = new Set<string>();
  constructor(_: NetworkAddresses) {}
  has(a: string) {
    return this.#s.has(a);
  }
  add(a: string) {
    this.#s.add(a);
  }
  delete(a: string) {
    this.#s.delete(a);
  }
  get size() {
    return this.#s.size;
  }
}
export function* freeAddresses(
  _a: NetworkAddresses,
  _f: 4 | 6,
  _t: Pick<Taken, "has">,
  _o: { readonly node: string; readonly asker: Asker },
): Generator<string> {
  if (_f === 6) {
    for (let i = 1; i < 200; i++) {
      if (!_t.has(`fd00:38::${i.toString(16)}`)) yield `fd00:38::${i.toString(16)}`;
    }
    return;
  }
  const [, hi] = _a.pools[0]!.ranges[0]!.split("-");
  const end = Number(hi!.split(".")[3]);
  for (let i = 10; i <= end; i++) if (!_t.has(`10.38.0.${i}`)) yield `10.38.0.${i}`;
}
