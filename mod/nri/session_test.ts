import assert from "node:assert/strict";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import {
  ConfigureRequestSchema,
  CreateContainerRequestSchema,
  Plugin,
  SynchronizeRequestSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/ttrpc_pb.ts";
import { encodeFrame, FrameDecoder, FrameType } from "../ttrpc/frame.ts";
import type { NriHandlers } from "./events.ts";
import type { Socket } from "./mux.ts";
import { encodeMessage, MuxDecoder } from "./mux_frame.ts";
import { runSession } from "./session.ts";

/** The runtime's end of a socket: says what it is told to, and keeps the answers by stream. */
class Runtime implements Socket {
  readonly answers = new Map<number, { code: number; message: string }>();
  readonly #pieces: (Uint8Array | null)[] = [];
  readonly #mux = new MuxDecoder();
  readonly #frames = new FrameDecoder();
  #wake = () => {};

  say<S extends DescMessage>(
    streamId: number,
    method: string,
    schema: S,
    message: MessageInitShape<S>,
    { timeout = 0 }: { readonly timeout?: number } = {},
  ) {
    const payload = toBinary(schema, create(schema, message));
    const request = create(RequestSchema, {
      service: Plugin.typeName,
      method,
      payload,
      timeoutNano: BigInt(timeout * 1e6),
    });
    const data = toBinary(RequestSchema, request);
    const bytes = encodeMessage(
      1,
      encodeFrame({ streamId, type: FrameType.Request, flags: 0, data }),
    );
    for (let at = 0; at < bytes.length; at += 60_000) {
      this.#pieces.push(bytes.subarray(at, at + 60_000));
    }
    this.#wake();
  }

  close(): void {
    this.#pieces.push(null);
    this.#wake();
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#pieces.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    const piece = this.#pieces.shift()!;
    if (piece) into.set(piece);
    return piece?.length ?? null;
  }

  write(bytes: Uint8Array): Promise<number> {
    for (const { connection, payload } of this.#mux.push(bytes)) {
      if (connection !== 1) continue;
      for (const { streamId, data } of this.#frames.push(payload)) {
        const { status } = fromBinary(ResponseSchema, data);
        this.answers.set(streamId, { code: status?.code ?? 0, message: status?.message ?? "" });
      }
    }
    return Promise.resolve(bytes.length);
  }
}

async function withSession(
  handlers: Partial<NriHandlers>,
  body: (runtime: Runtime) => Promise<void>,
): Promise<unknown> {
  const runtime = new Runtime();
  const all = { synchronize: () => {}, ...handlers } as NriHandlers;
  const ended = runSession(runtime, all, {
    name: "net",
    index: "10",
    log: new FakeLog(),
    onSynchronized: () => {},
    signal: new AbortController().signal,
  }).then(() => undefined, (error: unknown) => error);
  await body(runtime);
  runtime.close();
  return await ended;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a request time-out that no runtime can mean does not make every answer late", async () => {
  for (const requestTimeout of [2n ** 40n, 2n ** 62n, -1n, 0n]) {
    let aborted = false;
    await withSession({
      createContainer: async (_pod, _container, signal) => {
        await pause(30);
        aborted = signal.aborted;
      },
    }, async (runtime) => {
      runtime.say(1, "Configure", ConfigureRequestSchema, { requestTimeout });
      runtime.say(3, "CreateContainer", CreateContainerRequestSchema, { pod: {}, container: {} });
      while (!runtime.answers.has(3)) await pause(5);
      assert.deepEqual(runtime.answers.get(3), { code: 0, message: "" }, `${requestTimeout}`);
      assert.equal(aborted, false, `${requestTimeout}`);
    });
  }
});

Deno.test("an answer comes within the call's own time-out, where that is another than what was announced", async () => {
  // The bounds tell which time-out was heeded, on a busy machine too.
  const cases: [string, bigint, number, [number, number]][] = [
    // NRI before 0.7 announces none; the runtime's settings may be any.
    ["1 s, none announced", 0n, 1000, [700, 1450]],
    ["3 s, none announced", 0n, 3000, [2400, 4000]],
    // What is left of the kubelet's call to the runtime, when many events were before this one.
    ["1 s, 2 s announced", 2000n, 1000, [700, 1450]],
    ["3 s, 1 s announced", 1000n, 3000, [700, 2400]],
    ["none, none announced", 0n, 0, [1400, 3000]],
  ];
  const createContainer: NriHandlers["createContainer"] = (_pod, _container, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("still being attached")));
    });
  await Promise.all(
    cases.map(([name, requestTimeout, timeout, [least, most]]) =>
      withSession({ createContainer }, async (runtime) => {
        runtime.say(1, "Configure", ConfigureRequestSchema, { requestTimeout });
        const began = performance.now();
        const request = { pod: {}, container: {} };
        runtime.say(3, "CreateContainer", CreateContainerRequestSchema, request, { timeout });
        while (!runtime.answers.has(3)) await pause(5);
        const ms = performance.now() - began;
        assert.deepEqual(runtime.answers.get(3), { code: 2, message: "still being attached" });
        assert.ok(ms > least && ms < most, `${name}: ${ms} ms`);
      })
    ),
  );
});

Deno.test("an inventory without end breaks the connection off at 64 MiB", async () => {
  const pods = [{ id: "s", name: "x".repeat(4_000_000) }];
  const problem = await withSession({}, async (runtime) => {
    for (let i = 0; i < 18; i++) {
      runtime.say(2 * i + 1, "Synchronize", SynchronizeRequestSchema, { pods, more: true });
    }
    while (runtime.answers.size < 16) await pause(5);
  });
  assert.match(String(problem), /the runtime's inventory exceeds 67108864 bytes/);
});
