import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { nriHandlers } from "../../../mod/cmd/nri_handlers.ts";
import type { Socket } from "../../../mod/nri/mux.ts";
import { encodeMessage } from "../../../mod/nri/mux_frame.ts";
import { runSession } from "../../../mod/nri/session.ts";
import { TtrpcError } from "../../../mod/ttrpc/error.ts";
import { encodeFrame } from "../../../mod/ttrpc/frame.ts";
import {
  ConfigureRequestSchema,
  CreateContainerRequestSchema,
  Plugin,
  PodSandboxRequestSchema,
  StateChangeEventSchema,
  SynchronizeRequestSchema,
} from "../../../proto/gen/nri/nri_pb.ts";
import { RequestSchema } from "../../../proto/gen/ttrpc/ttrpc_pb.ts";
import { agentBench, assertBench, DRIVER } from "../agent_bench.ts";
import { toHex } from "../corpus.ts";
import { concat, mutateBytes } from "../mutate_bytes.ts";
import type { Random } from "../random.ts";
import { declared, holds, type Target } from "../target.ts";

interface Call {
  readonly method: string;
  readonly payload: Uint8Array;
}

function call<S extends DescMessage>(
  method: string,
  schema: S,
  message: MessageInitShape<S>,
): Call {
  return { method, payload: toBinary(schema, create(schema, message)) };
}

const pod = (id: string, name = "p") => ({
  id,
  name,
  uid: `uid-${name}`,
  namespace: "default",
  linux: { namespaces: [{ type: "network", path: `/var/run/netns/${id}` }] },
});
const container = (id: string) => ({
  id: `container-${id}`,
  podSandboxId: id,
  name: "main",
  cdiDevices: [{ name: "test/claim=uid-a" }, { name: `${DRIVER}/claim=uid-b` }],
});

const CALLS: readonly Call[] = [
  call("Configure", ConfigureRequestSchema, { requestTimeout: 2000n, runtimeName: "r" }),
  call("Configure", ConfigureRequestSchema, { requestTimeout: 2n ** 62n }),
  call("Configure", ConfigureRequestSchema, { requestTimeout: -5n }),
  call("Synchronize", SynchronizeRequestSchema, { pods: [pod("one")], more: true }),
  call("Synchronize", SynchronizeRequestSchema, {
    pods: [pod("one"), pod("two", "q")],
    containers: [container("one")],
  }),
  call("RunPodSandbox", PodSandboxRequestSchema, { pod: pod("one") }),
  call("RunPodSandbox", PodSandboxRequestSchema, { pod: pod("other") }),
  call("RunPodSandbox", PodSandboxRequestSchema, {
    pod: { ...pod("third"), name: "p;K8S_POD_NAME=root", namespace: "kube-system" },
  }),
  call("StopPodSandbox", PodSandboxRequestSchema, { pod: pod("one") }),
  call("RemovePodSandbox", PodSandboxRequestSchema, { pod: pod("one") }),
  call("StateChange", StateChangeEventSchema, { event: 1, pod: pod("one") }),
  call("StateChange", StateChangeEventSchema, { event: 2, pod: pod("other") }),
  call("CreateContainer", CreateContainerRequestSchema, {
    pod: pod("one"),
    container: container("one"),
  }),
  call("Shutdown", PodSandboxRequestSchema, {}),
];
const PAYLOADS = CALLS.map(({ payload }) => payload);

/** A runtime that says what it wants: whole conversations, against the agent. */
export function makeNri(): Promise<Target> {
  const target: Target<Uint8Array> = {
    seeds: [concat(...CALLS.map((each, i) => message(each, { streamId: 2 * i + 1 })))],
    mutate: (_, random) => conversation(random),
    async attempt(bytes, random) {
      const bench = await agentBench();
      const socket = new Peer(bytes, random);
      const ended = new AbortController();
      try {
        await runSession(socket, nriHandlers(bench.activeAgent), {
          name: "net",
          index: "10",
          log: bench.log,
          clock: bench.clock,
          onSynchronized: () => {},
          signal: ended.signal,
        });
      } catch (error) {
        declared(error, Error, RangeError, TtrpcError);
      }
      holds(socket.closed, "the connection was left open");
      await bench.activeAgent.leave();
      await bench.agent.close();
      assertBench(bench);
    },
    show: toHex,
  };
  return Promise.resolve(target as Target);
}

/** One to eight calls, changed at one of the layers or at none. */
function conversation(random: Random): Uint8Array {
  const parts: Uint8Array[] = [];
  let streamId = -1;
  for (let left = 1 + random.below(8); left > 0; left--) {
    let { method, payload } = random.pick(CALLS);
    if (random.oneIn(2)) payload = mutateBytes(PAYLOADS, random);
    if (random.oneIn(30)) method = random.pick(["", "NoSuch", "__proto__", method.toLowerCase()]);
    streamId = random.oneIn(20) ? random.next() : streamId + 2;
    parts.push(message({ method, payload }, {
      streamId,
      timeoutNano: random.oneIn(4) ? random.pick([-1n, 1n, 2n ** 63n - 1n, 10n ** 6n]) : 0n,
      connection: random.oneIn(20) ? random.next() : 1,
    }));
  }
  return random.oneIn(4) ? mutateBytes([concat(...parts)], random) : concat(...parts);
}

function message(
  { method, payload }: Call,
  { streamId, timeoutNano = 0n, connection = 1 }: {
    readonly streamId: number;
    readonly timeoutNano?: bigint;
    readonly connection?: number;
  },
): Uint8Array {
  const service = Plugin.typeName;
  const request = create(RequestSchema, { service, method, payload, timeoutNano });
  const data = toBinary(RequestSchema, request);
  const frame = encodeFrame({ streamId, type: 1, flags: 0, data });
  return encodeMessage(connection, frame);
}

/** The runtime's end of a socket: says what it has to say, and closes. */
class Peer implements Socket {
  closed = false;
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #piece: number;

  constructor(bytes: Uint8Array, random: Random) {
    this.#bytes = bytes;
    this.#piece = random.pick([7, 1000, 64 * 1024]);
  }

  async read(into: Uint8Array): Promise<number | null> {
    await Promise.resolve();
    const part = this.#bytes.subarray(this.#at, this.#at + Math.min(this.#piece, into.length));
    if (part.length === 0) {
      // What was asked is answered before it goes, where that needs no time.
      for (let i = 0; i < 20; i++) await Promise.resolve();
      return null;
    }
    into.set(part);
    this.#at += part.length;
    return part.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.closed = true;
  }
}
