import type { Datagrams, Measured, Reach, SeenInterface, Stream } from "../probe/protocol.ts";
import { INSIDE, type Role } from "./plan.ts";
import type { Nodes } from "./tested_network.ts";

/** One line of the report. */
export type Check =
  & {
    readonly what: string;
    readonly from: string;
    /** Empty where it is about one pod. */
    readonly to: string;
    /** What was measured, or why nothing was. */
    readonly figure: string;
  }
  & (
    | { readonly result: "ok" | "skipped" }
    | { readonly result: "failed"; readonly whatToDo: string }
  );

/** A network of a pod as its claim's status tells it. */
export interface StatusNetwork {
  readonly interfaceName: string;
  /** In CIDR notation. */
  readonly ips: readonly string[];
}

/** What was seen of one of the two pods with the network. */
export interface SeenPod {
  readonly network: StatusNetwork;
  /** What its probe sees. */
  readonly interfaces: readonly SeenInterface[];
  /** Milliseconds from its creation until its container ran. */
  readonly startMs: number;
  readonly results: readonly Measured[];
}

/** All that a test has seen. */
export interface Observed {
  readonly nodes: Nodes;
  readonly a: SeenPod;
  readonly b: SeenPod;
  /** What the pod without the network has measured; undefined where there is none. */
  readonly outside?: readonly Measured[];
}

/** What each check says of what was seen, in the order of the report. */
export function verdicts(observed: Observed): Check[] {
  return [
    ...INSIDE.map((role) => interfaceCheck(observed, role)),
    addressesCheck(observed),
    ...waysBetween(observed),
    ...isolationChecks(observed),
    ...INSIDE.map((role) => firstPacketCheck(observed, role)),
  ];
}

/** An address without its prefix length. */
export function bare(address: string): string {
  return address.split("/")[0]!;
}

function shownPod({ nodes }: Observed, role: Role): string {
  return `${role} (${nodes[role === "b" ? 1 : 0]})`;
}

function interfaceCheck(observed: Observed, role: "a" | "b"): Check {
  const { network: { interfaceName, ips }, interfaces } = observed[role];
  const check = { what: "interface", from: shownPod(observed, role), to: "" };
  const found = interfaces.find(({ name }) => name === interfaceName);
  if (ips.length === 0) {
    return { ...check, result: "skipped", figure: `${interfaceName} has no IP address` };
  }
  const missing = ips.filter((ip) => !found?.addresses.includes(ip));
  if (missing.length === 0) {
    return { ...check, result: "ok", figure: `${interfaceName} ${ips.join(" ")}` };
  }
  const seen = interfaces.map(({ name, addresses }) => `${name} ${addresses.join(" ")}`);
  return {
    ...check,
    result: "failed",
    figure: `${interfaceName} has no ${missing.join(" ")}; the pod has ${seen.join(", ")}`,
    whatToDo:
      "another program has changed the pod's interfaces since they were attached: look for " +
      "one on the node, and turn on --check-interval and --repair of the agent",
  };
}

function addressesCheck(observed: Observed): Check {
  const { a, b } = observed;
  const check = {
    what: "addresses differ",
    from: shownPod(observed, "a"),
    to: shownPod(observed, "b"),
  };
  const taken = b.network.ips.map(bare);
  const same = a.network.ips.map(bare).filter((address) => taken.includes(address));
  if (same.length === 0) return { ...check, result: "ok", figure: "" };
  return {
    ...check,
    result: "failed",
    figure: `both have ${same.join(" ")}`,
    whatToDo:
      "host-local counts on each node for itself: give each node a range of its own, or use " +
      "static or dhcp (docs/how-to/addresses.md)",
  };
}

const FAMILIES = ["IPv4", "IPv6"] as const;
type Family = typeof FAMILIES[number];

function familyOf(address: string): Family {
  return address.includes(":") ? "IPv6" : "IPv4";
}

function waysBetween(observed: Observed): Check[] {
  return FAMILIES.flatMap((family) => {
    const all = [...observed.a.network.ips, ...observed.b.network.ips];
    if (!all.some((ip) => familyOf(ip) === family)) {
      const figure = `the network has no ${family} addresses`;
      return [{ what: `${family} reach`, from: "", to: "", result: "skipped" as const, figure }];
    }
    return [
      ...wayChecks(observed, { from: "a", to: "b", family }),
      ...wayChecks(observed, { from: "b", to: "a", family }),
    ];
  });
}

/** The direction in which something was measured. */
interface Way {
  readonly from: "a" | "b";
  readonly to: "a" | "b";
  readonly family: Family;
}

function wayChecks(observed: Observed, way: Way): Check[] {
  const { from, to, family } = way;
  return observed[from].results
    .filter(({ peer, address }) => peer === to && familyOf(address) === family)
    .flatMap(({ address, reach, datagrams, stream }) => {
      const at = { from: shownPod(observed, from), to: `${shownPod(observed, to)} ${address}` };
      return [
        { what: `${family} reach`, ...at, ...reachVerdict(observed, way, reach) },
        ...datagrams
          ? [{ what: `${family} path MTU`, ...at, ...mtuVerdict(observed, datagrams, stream) }]
          : [],
        ...stream
          ? [{ what: `${family} throughput`, ...at, ...streamVerdict(stream, datagrams) }]
          : [],
      ];
    });
}

type Verdict = Check extends infer C ? C extends Check ? Omit<C, "what" | "from" | "to"> : never
  : never;

function reachVerdict(observed: Observed, { from, to, family }: Way, reach: Reach): Verdict {
  const own = observed[from].network.ips.map(bare);
  switch (reach.state) {
    case "reached": {
      if (own.includes(reach.seenAs)) {
        return { result: "ok", figure: `${milliseconds(reach.roundTripMs)} there and back` };
      }
      return {
        result: "failed",
        figure: `the packets come from ${reach.seenAs}, which is not of this network`,
        whatToDo:
          `a route of pod ${from} sends them by another interface, or something on the way ` +
          "changes their address: choose addresses that the cluster's network does not use, and " +
          "leave out ipMasq",
      };
    }
    case "stranger":
      return {
        result: "failed",
        figure: `something else than pod ${to} answers`,
        whatToDo:
          "the address is used twice: see to it that ipam gives addresses that nothing else " +
          "in the network has",
      };
    case "silent":
      return {
        result: "failed",
        figure: reach.problem,
        whatToDo: reachAdvice(observed.nodes, family),
      };
  }
}

function reachAdvice([first, second]: Nodes, family: Family): string {
  if (first === second) {
    return `look for packet filters on ${first}, and whether the plugin connects pods of one node ` +
      "(macvlan in mode private does not)";
  }
  return `look whether the network connects ${first} and ${second} (a bridge of the node's own does ` +
    "not; a VLAN must be on the ports of both), whether the way between them lets frames with the " +
    `pods' own MAC addresses pass (most clouds do not: ipvlan needs none) and ${family}; ` +
    `with --nodes ${first} the test shows whether the network works within a node`;
}

function mtuVerdict(
  { nodes: [first, second] }: Observed,
  datagrams: Datagrams,
  stream: Stream | undefined,
): Verdict {
  const between = first === second ? `on ${first}` : `between ${first} and ${second}`;
  switch (datagrams.state) {
    case "all":
      return { result: "ok", figure: "full frames arrive" };
    case "none":
      return {
        result: "failed",
        figure: "no UDP packet arrives, and TCP does",
        whatToDo: `look for a packet filter ${between} that drops UDP`,
      };
    case "up to": {
      const { packet } = datagrams;
      const flows = stream?.state === "flowed" &&
        " (TCP works all the same: both ends agree on shorter frames)";
      return {
        result: "failed",
        figure: `packets of more than ${packet} bytes are lost${flows || ""}`,
        whatToDo: `give all interfaces, switch ports and tunnels ${between} the same MTU, or set ` +
          `"mtu": ${packet} in the network's configuration; if ${packet} is their MTU already, a ` +
          "packet filter drops fragments",
      };
    }
  }
}

function streamVerdict(stream: Stream, datagrams: Datagrams | undefined): Verdict {
  if (stream.state === "flowed") return { result: "ok", figure: rate(stream.bitsPerSecond) };
  return {
    result: "failed",
    figure: `the TCP stream stalls: ${stream.problem}`,
    whatToDo: datagrams?.state === "up to"
      ? "full frames are lost: see path MTU"
      : "look for a packet filter or a rate limit on the way",
  };
}

function isolationChecks(observed: Observed): Check[] {
  return (observed.outside ?? []).map(({ peer, address, reach }) => {
    const from = shownPod(observed, "outside");
    const check = { what: "isolation", from, to: `${peer} ${address}` };
    if (reach.state === "reached") {
      return {
        ...check,
        result: "failed",
        figure: `a pod without the network reaches it, as ${reach.seenAs}`,
        whatToDo:
          "the node or a router forwards to it (a gateway on the bridge, ptp, a routed VLAN): " +
          "if that is wanted, give --routed; if not, leave out isGateway or filter it there",
      };
    }
    // Whom nobody reaches, nobody outside reaches either: that says nothing.
    const insider = [...observed.a.results, ...observed.b.results].find((each) =>
      each.address === address
    );
    return insider?.reach.state === "reached"
      ? { ...check, result: "ok", figure: "not reached without the network" }
      : { ...check, result: "skipped", figure: "it is not reached from inside either" };
  });
}

function firstPacketCheck(observed: Observed, role: "a" | "b"): Check {
  const { startMs, results } = observed[role];
  const check = { what: "first packet", from: shownPod(observed, role), to: "" };
  const first = results.map(({ reach }) => reach).find(({ state }) => state === "reached");
  if (first?.state !== "reached") {
    return { ...check, result: "skipped", figure: "nobody answers" };
  }
  const started = seconds(startMs);
  return {
    ...check,
    result: "ok",
    figure: `${
      seconds(startMs + first.firstMs)
    } after the pod was created (its container: ${started})`,
  };
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Bits per second, in the unit that leaves three digits. */
function rate(bitsPerSecond: number): string {
  const units = [["Gbit/s", 1e9], ["Mbit/s", 1e6], ["kbit/s", 1e3]] as const;
  const [unit, size] = units.find(([, size]) => bitsPerSecond >= size) ?? ["bit/s", 1];
  return `${Number((bitsPerSecond / size).toPrecision(3))} ${unit}`;
}
