import ipaddr from "ipaddr.js";

/** What a name is of. A placeholder begins with it. */
export type NameKind = "namespace" | "pod" | "claim" | "node" | "workload" | "server" | "user";

/** Names that every cluster has, or that say nothing of whose it is. */
const KEPT: readonly string[] = [
  "default",
  "kube-system",
  "kube-public",
  "kube-node-lease",
  "network-dra",
  "dra.networking",
  "resource.k8s.io",
];

/** What may stand before an address: "mac:", "via_", or an escaped line break. */
const BEFORE = "(?:(?<![\\w:-])|(?<=[g-zG-Z_]\\w{0,16}:)|(?<=_|\\\\[bfnrt]))";
/** Bytes of a MAC address, separated by ":" or "-": 6, or more as InfiniBand has them. */
const MAC = `${BEFORE}[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5,}|(?:-[0-9A-Fa-f]{2}){5,})(?![\\w:-])`;
/** What may be an IPv6 address: at least two colons. */
const IPV6 = `(?:${BEFORE}|(?<=-))[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f.]*(?![\\w:])`;
/** A person's, as users of clusters are often named. */
const EMAIL = "[\\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63})+";
const ADDRESS = new RegExp(`(${MAC})|(${EMAIL})|(${IPV6})`, "g");
/** What separates words without being a letter of them: "%2F", "\\n" and "\\u001b" in escaped text. */
const WORD = /%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[bfnrt"\\/]|[A-Za-z0-9]+(?:[-._][A-Za-z0-9]+)*/g;

/**
 * Replaces names and addresses by placeholders, the same by the same: `pod_1`, `node_2`, `ip_3`. No
 * name of Kubernetes has a "_", so that none looks like a placeholder. It replaces names that it was
 * told, also as parts of longer ones (the node in the name of its ResourceSlice), and every IP and MAC
 * address, and e-mail addresses; it keeps the length of a prefix, loopback addresses and masks.
 */
export class Redactor {
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  /** Parts of the longest name, or of an IPv4 address. */
  #longest = 4;

  /** @param kept words that stay as they are, besides those that every cluster has */
  constructor(kept: readonly string[] = []) {
    for (const word of [...KEPT, ...kept]) this.#set(word, word);
  }

  /** From now on, the name is replaced. */
  learn(kind: NameKind, name: string | undefined): void {
    if (name === undefined || name === "" || this.#names.has(name)) return;
    this.#set(name, this.#next(kind));
  }

  #set(name: string, by: string): void {
    this.#names.set(name, by);
    this.#longest = Math.max(this.#longest, partsOf(name).length);
  }

  #next(kind: string): string {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return `${kind}_${count}`;
  }

  /** A text with placeholders. */
  text(text: string): string {
    let done = "";
    let from = 0;
    for (const match of text.matchAll(ADDRESS)) {
      const [found, mac, email] = match;
      const by = mac !== undefined
        ? this.#address("mac", plainMac(mac))
        : email !== undefined
        ? this.#address("user", email)
        : this.#ipv6(found);
      if (by === undefined) continue;
      done += this.#words(text.slice(from, match.index)) + by;
      from = match.index + found.length;
    }
    return done + this.#words(text.slice(from));
  }

  /** A JSON value with placeholders in its texts, and in keys that are not plain words. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    // A plain word is a field of the API, even if something has that name.
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [
        /^[A-Za-z]+$/.test(key) ? key : this.text(key),
        this.value(each),
      ]),
    );
  }

  #ipv6(text: string): string | undefined {
    // A full stop at the end of a sentence is none of the address.
    const [, bare = "", end = ""] = text.match(/^(.*?)([.:]?)$/)!;
    const whole = ipaddr.IPv6.isValid(text) ? [text, ""] : [bare, end];
    const [address, after] = whole as [string, string];
    if (!ipaddr.IPv6.isValid(address)) return undefined;
    const parsed = ipaddr.IPv6.parse(address);
    if (["loopback", "unspecified"].includes(parsed.range())) return undefined;
    return this.#address("ip", parsed.toNormalizedString()) + after;
  }

  #address(kind: "ip" | "mac" | "user", address: string): string {
    const key = `${kind} ${address}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const by = this.#next(kind);
    this.#names.set(key, by);
    return by;
  }

  #words(text: string): string {
    return text.replace(WORD, (word) => /^[%\\]/.test(word) ? word : this.#word(word));
  }

  /** The longest names first, from the left; a name begins and ends with a part of the word. */
  #word(word: string): string {
    const parts = partsOf(word);
    let done = "";
    let from = 0;
    for (let i = 0; i < parts.length;) {
      const { by, count } = this.#at(word, parts, i);
      if (by !== undefined) {
        done += word.slice(from, parts[i]!.begin) + by;
        from = parts[i + count - 1]!.end;
      }
      i += count;
    }
    return done + word.slice(from);
  }

  #at(word: string, parts: readonly Part[], i: number) {
    for (let count = Math.min(this.#longest, parts.length - i); count > 0; count--) {
      const by = this.#names.get(word.slice(parts[i]!.begin, parts[i + count - 1]!.end));
      if (by !== undefined) return { by, count };
      if (count !== 4) continue;
      const address = this.#ipv4(word.slice(parts[i]!.begin, parts[i + 3]!.end));
      if (address !== undefined) return { by: address, count };
    }
    return { by: undefined, count: 1 };
  }

  /** Of an address with dots, or with dashes, as names of nodes have them. */
  #ipv4(text: string): string | undefined {
    const separated = text.match(/^\d{1,3}([.-])\d{1,3}\1\d{1,3}\1\d{1,3}$/);
    if (!separated) return undefined;
    const address = text.replaceAll("-", ".");
    const octets = address.split(".").map(Number);
    if (octets.some((octet) => octet > 255)) return undefined;
    const isKept = octets[0] === 127 || octets[0] === 255 || octets.every((octet) => octet === 0);
    return isKept ? text : this.#address("ip", octets.join("."));
  }
}

interface Part {
  readonly begin: number;
  readonly end: number;
}

function partsOf(word: string): Part[] {
  return [...word.matchAll(/[A-Za-z0-9]+/g)].map(({ 0: part, index }) => ({
    begin: index,
    end: index + part.length,
  }));
}

function plainMac(mac: string): string {
  return mac.toLowerCase().replaceAll("-", ":");
}
