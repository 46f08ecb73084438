import assert from "node:assert/strict";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { FakeClock, FakeLog } from "../../tests/support/agent_fakes.ts";
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
  body: (runtime: Runtime, clock: FakeClock) => Promise<void>,
): Promise<unknown> {
  const runtime = new Runtime();
  const clock = new FakeClock();
  const all = { synchronize: () => {}, ...handlers } as NriHandlers;
  const ended = runSession(runtime, all, {
    name: "net",
    index: "10",
    log: new FakeLog(),
    clock,
    onSynchronized: () => {},
    signal: new AbortController().signal,
  }).then(() => undefined, (error: unknown) => error);
  await body(runtime, clock);
  runtime.close();
  return await ended;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("an answer that is due comes before the time is over that the runtime grants", async () => {
  // [what the runtime announced, the call's own time-out, when the answer is due], in milliseconds
  const cases: [bigint, number, number][] = [
    [20_000n, 0, 19_500],
    // NRI before 0.7 announces none; the runtime's settings may be any.
    [0n, 10_000, 9_500],
    [0n, 30_000, 29_500],
    // What is left of the kubelet's call to the runtime, when many events were before this one.
    [20_000n, 10_000, 9_500],
    [10_000n, 30_000, 9_500],
    [0n, 0, 1_500],
    [-1n, 0, 1_500],
    // No runtime can mean these: an hour counts.
    [2n ** 40n, 0, 3_599_500],
    [2n ** 62n, 0, 3_599_500],
  ];
  for (const [requestTimeout, timeout, due] of cases) {
    let called = false;
    const createContainer: NriHandlers["createContainer"] = (_pod, _container, signal) =>
      new Promise((_, reject) => {
        called = true;
        signal.addEventListener("abort", () => reject(new Error("still being attached")));
      });
    await withSession({ createContainer }, async (runtime, clock) => {
      runtime.say(1, "Configure", ConfigureRequestSchema, { requestTimeout });
      const request = { pod: {}, container: {} };
      runtime.say(3, "CreateContainer", CreateContainerRequestSchema, request, { timeout });
      while (!called) await pause(1);
      const name = `${requestTimeout} ms announced, ${timeout} ms in the call`;
      await clock.advance(due - 1);
      assert.equal(runtime.answers.get(3), undefined, name);
      await clock.advance(1);
      while (!runtime.answers.has(3)) await pause(1);
      assert.deepEqual(runtime.answers.get(3), { code: 2, message: "still being attached" }, name);
    });
  }
});

Deno.test("a handler that does not heed its signal is answered for", async () => {
  let called = false;
  const createContainer = () => {
    called = true;
    return new Promise<void>(() => {});
  };
  await withSession({ createContainer }, async (runtime, clock) => {
    runtime.say(1, "Configure", ConfigureRequestSchema, { requestTimeout: 20_000n });
    runtime.say(3, "CreateContainer", CreateContainerRequestSchema, { pod: {}, container: {} });
    while (!called) await pause(1);
    await clock.advance(19_749);
    assert.equal(runtime.answers.get(3), undefined);
    await clock.advance(1);
    while (!runtime.answers.has(3)) await pause(1);
    assert.deepEqual(runtime.answers.get(3), {
      code: 2,
      message: "not done within the runtime's 20000 ms",
    });
  });
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
