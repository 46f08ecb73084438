import dgram from "node:dgram";
import { unlessAborted } from "../async/aborted.ts";
import { systemClock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { datagram, type Hello, readLine, type Received, writeAll, writeLine } from "./frames.ts";
import type { Datagrams, Measured, Peer, Reach, Stream, Task } from "./protocol.ts";

/** Whom to measure, as whom. */
export interface Target {
  readonly run: string;
  readonly peer: string;
  readonly address: string;
  readonly port: number;
}

export interface MeasureLimits {
  /** For how long an address is tried until it answers. */
  readonly reach: number;
  /** How long one try may take. */
  readonly attempt: number;
  /** For how long a stream is sent. */
  readonly stream: number;
  /** For how long nothing of a stream may arrive. */
  readonly stall: number;
  /** After which a datagram counts as lost. */
  readonly datagram: number;
}

/** In milliseconds. */
export const LIMITS: MeasureLimits = {
  reach: 10_000,
  attempt: 2_000,
  stream: 2_000,
  stall: 5_000,
  datagram: 200,
};
/** Someone outside has this long to reach an address: what is let through answers at once. */
const OUTSIDE_REACH_MS = 3_000;
const PAUSE_MS = 250;

/** Measures the ways to all peers of a task, one after the other. */
export async function carryOut(
  { peers, from }: Task,
  { run, port, limits = LIMITS, signal }: {
    readonly run: string;
    readonly port: number;
    readonly limits?: MeasureLimits;
    readonly signal: AbortSignal;
  },
): Promise<Measured[]> {
  const results: Measured[] = [];
  for (const target of peers.flatMap((peer) => targetsOf(peer, { run, port }))) {
    const { peer, address } = target;
    if (from === "outside") {
      const reach = await measureReach(target, {
        signal,
        limits: { ...limits, reach: Math.min(limits.reach, OUTSIDE_REACH_MS) },
      });
      results.push({ peer, address, reach });
      continue;
    }
    const reach = await measureReach(target, { limits, signal });
    if (reach.state !== "reached") {
      results.push({ peer, address, reach });
      continue;
    }
    const datagrams = await measureDatagrams(target, { limits, signal });
    const stream = await measureStream(target, { limits, signal });
    results.push({ peer, address, reach, datagrams, stream });
  }
  return results;
}

function targetsOf(
  { name, addresses }: Peer,
  { run, port }: { readonly run: string; readonly port: number },
): Target[] {
  return addresses.map((address) => ({ run, peer: name, address, port }));
}

interface Measuring {
  readonly limits: MeasureLimits;
  readonly signal: AbortSignal;
}

/** Asks until the peer answers, or the time is over. */
export async function measureReach(
  target: Target,
  { limits, signal }: Measuring,
): Promise<Reach> {
  const began = performance.now();
  for (;;) {
    const asked = performance.now();
    const answer = await hello(target, { limits, signal });
    signal.throwIfAborted();
    const now = performance.now();
    if (typeof answer !== "string") {
      if (answer.run !== target.run || answer.name !== target.peer) return { state: "stranger" };
      return {
        state: "reached",
        firstMs: now - began,
        roundTripMs: now - asked,
        seenAs: answer.seenAs,
      };
    }
    if (now - began + PAUSE_MS >= limits.reach) return { state: "silent", problem: answer };
    await systemClock.sleep(PAUSE_MS, signal);
  }
}

/** The answer, or why there is none. */
async function hello(
  target: Target,
  { limits, signal }: Measuring,
): Promise<Hello | string> {
  try {
    return await asking(target, {
      limit: limits.attempt,
      signal,
      ask: async (connection) => {
        await writeLine(connection, { run: target.run, ask: "hello" });
        return await readLine(connection) as unknown as Hello;
      },
    });
  } catch (error) {
    return errorMessage(error);
  }
}

/** A connection for one question; it is closed at the end, or when the time is over. */
async function asking<T>(
  { address, port }: Target,
  { limit, signal, ask }: {
    readonly limit: number;
    readonly signal: AbortSignal;
    readonly ask: (connection: Deno.TcpConn) => Promise<T>;
  },
): Promise<T> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(limit)]);
  try {
    using connection = await Deno.connect({ hostname: address, port, signal: until });
    // A write that waits for room does not end when its connection is closed.
    return await unlessAborted(ask(connection), until);
  } catch (error) {
    if (!until.aborted) throw error;
    throw new Error(`no answer within ${limit / 1000} s`, { cause: error });
  }
}

/** More than any frame holds, so that it goes in several. */
const LARGEST = 20_000;
const SMALLEST = 100;
/** Of IP and UDP. */
const HEADERS = { IPv4: 28, IPv6: 48 } as const;
/** One may be lost by chance. */
const TRIES = 2;

/**
 * Looks for the largest datagram that arrives. A datagram that does not fit into a frame goes in
 * several, full ones: where frames as long as the interface sends are lost on the way, it never
 * arrives whole. So the largest that arrives is the largest frame of the way.
 */
export async function measureDatagrams(
  target: Target,
  { limits, signal }: Measuring,
): Promise<Datagrams> {
  const isIpv6 = target.address.includes(":");
  const socket = dgram.createSocket(isIpv6 ? "udp6" : "udp4");
  try {
    let number = 0;
    const arrives = async (size: number) => {
      for (let tries = 0; tries < TRIES; tries++) {
        signal.throwIfAborted();
        const asked = { ...target, number: ++number, size };
        if (await isAnswered(socket, asked, limits.datagram)) return true;
      }
      return false;
    };
    if (await arrives(LARGEST)) return { state: "all" };
    if (!await arrives(SMALLEST)) return { state: "none" };
    let [arrived, lost] = [SMALLEST, LARGEST];
    while (lost - arrived > 1) {
      const middle = Math.floor((arrived + lost) / 2);
      if (await arrives(middle)) arrived = middle;
      else lost = middle;
    }
    return { state: "up to", packet: arrived + HEADERS[isIpv6 ? "IPv6" : "IPv4"] };
  } finally {
    socket.close();
  }
}

/** Whether all of a datagram arrives at the other side. */
function isAnswered(
  socket: dgram.Socket,
  { run, number, size, address, port }: Target & {
    readonly number: number;
    readonly size: number;
  },
  limit: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (answered: boolean) => {
      clearTimeout(late);
      socket.removeAllListeners();
      // What comes late is nobody's.
      socket.on("error", () => {});
      resolve(answered);
    };
    const late = setTimeout(() => end(false), limit);
    socket.removeAllListeners();
    socket.on("error", () => end(false));
    socket.on("message", (message) => {
      if (message.toString() === `${run} ${number} ${size}`) end(true);
    });
    socket.send(datagram({ run, number, size }), port, address, (error) => {
      if (error) end(false);
    });
  });
}

const CHUNK = new Uint8Array(256 * 1024);

/** Sends as much as goes by one TCP connection. */
export async function measureStream(
  target: Target,
  { limits, signal }: Measuring,
): Promise<Stream> {
  const { run } = target;
  try {
    const { bytes, ms } = await asking(target, {
      limit: limits.attempt + limits.stream + limits.stall,
      signal,
      ask: async (connection) => {
        await writeLine(connection, { run, ask: "stream" });
        const end = performance.now() + limits.stream;
        while (performance.now() < end) await writeAll(connection, CHUNK);
        await connection.closeWrite();
        return await readLine(connection) as unknown as Received;
      },
    });
    if (bytes === 0) return { state: "stalled", problem: "nothing arrived" };
    return { state: "flowed", bitsPerSecond: Math.round(bytes * 8 * 1000 / ms) };
  } catch (error) {
    signal.throwIfAborted();
    return { state: "stalled", problem: errorMessage(error) };
  }
}
