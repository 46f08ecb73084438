import { array, type Fields, join, object, optional, text } from "../claim/field.ts";

/** What a probe is told to measure. */
export interface Task {
  readonly peers: readonly Peer[];
  /** What to measure: what those on the network have, or only whether someone outside reaches it. */
  readonly from: "inside" | "outside";
}

/** A probe that another one measures the way to. */
export interface Peer {
  readonly name: string;
  /** IP addresses, without prefix lengths. */
  readonly addresses: readonly string[];
}

/** An interface as a probe sees it, where it has addresses. */
export interface SeenInterface {
  readonly name: string;
  /** In CIDR notation. */
  readonly addresses: readonly string[];
}

/** Whether a peer answers by TCP. */
export type Reach =
  | {
    readonly state: "reached";
    /** Milliseconds from the first try to the first answer. */
    readonly firstMs: number;
    /** Milliseconds of one question and its answer. */
    readonly roundTripMs: number;
    /** The address from which the peer saw the question come. */
    readonly seenAs: string;
  }
  /** Someone has the address, and it is not the peer. */
  | { readonly state: "stranger" }
  | { readonly state: "silent"; readonly problem: string };

/** Which datagrams arrive. */
export type Datagrams =
  /** All of them, also those that are sent in several frames. */
  | { readonly state: "all" }
  /** Those up to a size; that of the largest frame's IP packet, in bytes. */
  | { readonly state: "up to"; readonly packet: number }
  | { readonly state: "none" };

/** How fast a TCP stream is. */
export type Stream =
  | { readonly state: "flowed"; readonly bitsPerSecond: number }
  /** It began, and then nothing more arrived. */
  | { readonly state: "stalled"; readonly problem: string };

/** What a probe has measured of one address of a peer. */
export interface Measured {
  readonly peer: string;
  readonly address: string;
  readonly reach: Reach;
  /** From inside, of a peer that is reached. */
  readonly datagrams?: Datagrams;
  readonly stream?: Stream;
}

/** A line that a probe prints. */
export type ProbeLine =
  | { readonly probe: "started"; readonly interfaces: readonly SeenInterface[] }
  | { readonly probe: "measured"; readonly results: readonly Measured[] };

/** Where a probe answers: TCP and UDP. */
export const PROBE_PORT = 9178;

/** @throws FieldError */
export function parseTask(value: unknown): Task {
  const { peers, from } = object(value, "task");
  if (from !== "inside" && from !== "outside") throw new Error("task.from: inside or outside");
  return {
    from,
    peers: array(peers, "task.peers").map((item, i) => {
      const path = `task.peers[${i}]`;
      const { name, addresses } = object(item, path);
      return {
        name: text(name, join(path, "name")),
        addresses: texts(addresses, join(path, "addresses")),
      };
    }),
  };
}

/** The lines of a pod's log that are a probe's; others are what a runtime or Deno said. */
export function probeLines(log: string): ProbeLine[] {
  return log.split("\n").flatMap((line) => {
    const said = parsed(line);
    return said?.probe === "started" || said?.probe === "measured"
      ? [said as unknown as ProbeLine]
      : [];
  });
}

function parsed(line: string): Fields | undefined {
  try {
    return optional(object, JSON.parse(line), "line");
  } catch {
    return undefined;
  }
}

function texts(value: unknown, path: string): string[] {
  return array(value, path).map((item, i) => text(item, `${path}[${i}]`));
}
