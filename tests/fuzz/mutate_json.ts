import type { Random } from "./random.ts";

/** Names that mean something to JavaScript, to paths, or to those who read the result. */
const KEYS = [
  ...["__proto__", "constructor", "prototype", "hasOwnProperty", "toString", "valueOf", "toJSON"],
  ...["", " ", "a.b", "a/b", "..", "\0", "\n", "é", "\ud800", "length", "then", "0", "-1"],
];

const TEXTS = [
  ...["", " ", "\0", "a\0b", "\n", "a b", ".", "..", "../../../../etc/passwd", "/etc/passwd", "~"],
  ...["\ud800", "\udfff\ud800", "\u202e", "\ufeff", "🦕".repeat(20), "é", "$(id)", "`id`", ";id"],
  ...["a;K8S_POD_NAME=b", "a=b", "--help", "-", "%2e%2e%2f", "%", "%s%n", "{{}}", "${x}", "\\"],
  ...["__proto__", "constructor", "null", "true", "no", "0x10", "1e999", "NaN", "-0", "01", "١"],
  ...["1.2.3.4/99", "::/129", "fe80::1%eth0", "10.0.0.1/24/24", "a".repeat(16), "x".repeat(300)],
];

const NUMBERS = [
  ...[
    0,
    -0,
    -1,
    1,
    0.5,
    255,
    256,
    65535,
    65536,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    -(2 ** 53),
  ],
  ...[2 ** 63, 2 ** 64, 1e21, 1e308, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, NaN],
];

/** What a JSON document, or a YAML one, may hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A place in a document: a holder and its key there. */
interface Place {
  readonly holder: Json[] | { [key: string]: Json };
  readonly key: string | number;
}

type Change = (place: Place, random: Random, others: readonly Json[]) => void;

const CHANGES: readonly Change[] = [
  function toLeaf(place, random) {
    put(place, leaf(random));
  },
  function toContainer(place, random) {
    put(place, random.oneIn(2) ? [] : {});
  },
  function remove({ holder, key }) {
    if (Array.isArray(holder)) holder.splice(key as number, 1);
    else delete holder[key];
  },
  function rename({ holder, key }, random) {
    if (Array.isArray(holder)) return;
    const value = holder[key]!;
    delete holder[key];
    define(holder, random.pick(KEYS), value);
  },
  function add({ holder }, random, others) {
    const value = random.oneIn(2) ? leaf(random) : structuredClone(random.pick(others));
    if (Array.isArray(holder)) holder.push(value);
    else define(holder, random.pick(KEYS), value);
  },
  function wrap(place, random) {
    const depth = random.oneIn(10) ? random.pick([33, 200, 2500]) : 1 + random.below(3);
    let value = get(place);
    for (let i = 0; i < depth; i++) {
      value = random.oneIn(2) ? [value] : { [random.pick(KEYS)]: value };
    }
    put(place, value);
  },
  function repeat(place, random) {
    const value = get(place);
    const times = random.oneIn(20) ? 500 : 1 + random.below(4);
    if (Array.isArray(value) && value.length > 0 && places(value).length < 100) {
      for (let i = 0; i < times; i++) value.push(structuredClone(random.pick(value)));
    } else if (typeof value === "string") {
      put(place, value.repeat(Math.min(times + 1, Math.ceil(8192 / (value.length + 1)))));
    }
  },
  function splice(place, random, others) {
    const from = places(random.pick(others));
    if (from.length > 0) put(place, structuredClone(get(random.pick(from))));
  },
  function swap(place, random, others) {
    // A value from elsewhere under the same name: its shape fits, its content may not.
    const same = others.flatMap(places).filter(({ key }) => key === place.key);
    if (same.length > 0) put(place, structuredClone(get(random.pick(same))));
  },
  function editText(place, random) {
    const value = get(place);
    if (typeof value !== "string") return;
    const at = random.below(value.length + 1);
    const part = random.oneIn(3) ? random.pick(TEXTS) : String.fromCharCode(random.below(0x180));
    put(place, value.slice(0, at) + part + value.slice(at + random.below(3)));
  },
];

/** A document that has come to have more is changed no further. */
const MOST_PLACES = 5000;
/** Deeper ones are more than what copies and writes documents here can take. */
const DEEPEST = 3000;

/** One of the documents, changed in one to eight places. */
export function mutateJson(seeds: readonly Json[], random: Random): Json {
  const root: { [key: string]: Json } = { root: structuredClone(random.pick(seeds)) };
  for (let left = 1 + random.below(random.oneIn(4) ? 8 : 3); left > 0; left--) {
    const all = places(root);
    if (all.length === 0 || all.length > MOST_PLACES) break;
    const place = random.pick(all);
    random.pick(CHANGES)(place, random, seeds);
    // Two long chains that met.
    if (depth(root) > DEEPEST) return leaf(random);
  }
  return root.root ?? null;
}

function leaf(random: Random): Json {
  switch (random.below(5)) {
    case 0:
      return null;
    case 1:
      return random.oneIn(2);
    case 2:
      return random.pick(NUMBERS);
    default:
      return random.pick(TEXTS);
  }
}

/** As JSON.parse does it: a key `__proto__` is a key like others. */
function define(holder: { [key: string]: Json }, key: string, value: Json): void {
  const descriptor = { value, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(holder, key, descriptor);
}

function put({ holder, key }: Place, value: Json): void {
  if (Array.isArray(holder)) holder[key as number] = value;
  else define(holder, key as string, value);
}

function get({ holder, key }: Place): Json {
  return (Object.getOwnPropertyDescriptor(holder, key)?.value ?? null) as Json;
}

function depth(root: Json): number {
  let deepest = 0;
  const left = [{ value: root, at: 0 }];
  for (let next = left.pop(); next; next = left.pop()) {
    const { value, at } = next;
    deepest = Math.max(deepest, at);
    if (typeof value !== "object" || value === null) continue;
    for (const key of Object.keys(value)) {
      left.push({ value: get({ holder: value, key }), at: at + 1 });
    }
  }
  return deepest;
}

/** Every place of a document, without recursion: documents are nested deeply here. */
function places(root: Json): Place[] {
  const found: Place[] = [];
  const left: Json[] = [root];
  while (left.length > 0) {
    const holder = left.pop();
    if (typeof holder !== "object" || holder === null) continue;
    const keys = Array.isArray(holder) ? holder.keys() : Object.keys(holder);
    for (const key of keys) {
      const place = { holder, key };
      found.push(place);
      left.push(get(place));
    }
  }
  return found;
}
