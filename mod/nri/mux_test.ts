import assert from "node:assert/strict";
import fc from "fast-check";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConfigureResponseSchema,
  RegisterPluginRequestSchema,
  Runtime,
} from "../../proto/gen/nri/nri_pb.ts";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/ttrpc_pb.ts";
import { encodeFrame } from "../ttrpc/frame.ts";
import { Mux, type Socket } from "./mux.ts";
import { encodeMessage, MuxDecoder, type MuxFrame } from "./mux_frame.ts";

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

Deno.test("mux and ttrpc frames are byte for byte those of the contract", async (t) => {
  const register = toBinary(
    RequestSchema,
    create(RequestSchema, {
      service: Runtime.typeName,
      method: "RegisterPlugin",
      payload: toBinary(
        RegisterPluginRequestSchema,
        create(RegisterPluginRequestSchema, { pluginName: "net", pluginIdx: "10" }),
      ),
    }),
  );
  const configured = toBinary(
    ResponseSchema,
    create(ResponseSchema, {
      payload: toBinary(ConfigureResponseSchema, create(ConfigureResponseSchema, { events: 7 })),
    }),
  );
  const boom = toBinary(
    ResponseSchema,
    create(ResponseSchema, { status: { code: 13, message: "boom" } }),
  );
  const cases: Record<string, [number, Parameters<typeof encodeFrame>[0], string]> = {
    "RegisterPlugin": [
      2,
      { streamId: 1, type: 1, flags: 0, data: register },
      "0000000200000043000000390000000101000a1c6e72692e706b672e6170692e7631616c706861312e52756e74696d65120e5265676973746572506c7567696e1a090a036e657412023130",
    ],
    "ConfigureResponse": [
      1,
      { streamId: 1, type: 2, flags: 0, data: configured },
      "000000010000000e0000000400000001020012021007",
    ],
    "an empty answer": [
      1,
      { streamId: 5, type: 2, flags: 0, data: new Uint8Array(0) },
      "000000010000000a00000000000000050200",
    ],
    "an error": [
      1,
      { streamId: 5, type: 2, flags: 0, data: boom },
      "00000001000000140000000a0000000502000a08080d1204626f6f6d",
    ],
  };
  for (const [name, [connection, frame, expected]] of Object.entries(cases)) {
    await t.step(
      name,
      () => assert.equal(hex(encodeMessage(connection, encodeFrame(frame))), expected),
    );
  }
});

function decode(bytes: Uint8Array, size: number): MuxFrame[] {
  const decoder = new MuxDecoder();
  const frames: MuxFrame[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    frames.push(...decoder.push(bytes.subarray(at, at + size)));
  }
  return frames;
}

Deno.test("a message of up to 4096 bytes is one frame, a longer one two, the first of 4096", () => {
  for (
    const [length, expected] of [
      [0, [0]],
      [1, [1]],
      [4095, [4095]],
      [4096, [4096]],
      [4097, [4096, 1]],
      [100_000, [4096, 95_904]],
    ] as const
  ) {
    const frames = decode(encodeMessage(1, new Uint8Array(length)), 1000);
    assert.deepEqual(frames.map(({ payload }) => payload.length), expected);
  }
});

Deno.test("messages come out as they went in, in pieces of any size", () => {
  const messages = fc.array(fc.tuple(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 5000 })), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(messages, fc.constantFrom(1, 2, 5, 4096), (given, size) => {
      const bytes = given.flatMap(([id, message]) => [...encodeMessage(id, message)]);
      const joined = new Map<number, number[]>();
      for (const { connection, payload } of decode(new Uint8Array(bytes), size)) {
        joined.set(connection, [...joined.get(connection) ?? [], ...payload]);
      }
      const expected = new Map<number, number[]>();
      for (const [id, message] of given) expected.set(id, [...expected.get(id) ?? [], ...message]);
      assert.deepEqual(joined, expected);
    }),
    { numRuns: 50 },
  );
});

Deno.test("a frame of 4 GiB is nonsense", () => {
  assert.throws(() => new MuxDecoder().push(new Uint8Array(8).fill(0xff)), RangeError);
});

/** A socket in memory: reads what is fed, keeps what is written. */
class FakeSocket implements Socket {
  readonly written: number[] = [];
  #pieces: (Uint8Array | null)[] = [];
  #wake: (() => void) | undefined;
  closed = false;
  /** How many bytes one write takes. */
  takes = Infinity;

  feed(piece: Uint8Array | null): void {
    this.#pieces.push(piece);
    this.#wake?.();
  }
  async read(into: Uint8Array): Promise<number | null> {
    while (this.#pieces.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    const piece = this.#pieces.shift()!;
    if (piece === null) return null;
    into.set(piece);
    return piece.length;
  }
  write(bytes: Uint8Array): Promise<number> {
    const taken = bytes.subarray(0, this.takes);
    this.written.push(...taken);
    return Promise.resolve(taken.length);
  }
  close(): void {
    this.closed = true;
    this.feed(null);
  }
}

async function collect(incoming: AsyncIterable<Uint8Array>): Promise<string> {
  let all = "";
  for await (const piece of incoming) all += new TextDecoder().decode(piece);
  return all;
}

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("connections get what is theirs; frames for others are dropped", async () => {
  const socket = new FakeSocket();
  const mux = new Mux(socket);
  const ids = Array.from({ length: 16 }, (_, i) => i + 1);
  const received = ids.map((id) => collect(mux.open(id).incoming));
  const run = mux.run();
  for (const round of ["a", "b"]) {
    for (const id of [...ids, 99, 0]) socket.feed(encodeMessage(id, text(`${round}${id} `)));
  }
  socket.feed(encodeMessage(1, text("")));
  socket.feed(null);
  await run;
  assert.deepEqual(await Promise.all(received), ids.map((id) => `a${id} b${id} `));
  assert.equal(socket.closed, true);
});

Deno.test("messages are written whole and in order, however little the socket takes", async () => {
  const socket = new FakeSocket();
  socket.takes = 3;
  const connection = new Mux(socket).open(7);
  await Promise.all(["first", "second", "third"].map((word) => connection.write(text(word))));
  const frames = decode(new Uint8Array(socket.written), 4096);
  assert.deepEqual(frames.map(({ payload }) => new TextDecoder().decode(payload)), [
    "first",
    "second",
    "third",
  ]);
});

Deno.test("an end in the middle of a frame is an error, and ends all connections", async () => {
  const whole = encodeMessage(1, text("hello"));
  for (const length of [1, 7, 8, 12]) {
    const socket = new FakeSocket();
    const mux = new Mux(socket);
    const received = collect(mux.open(1).incoming);
    socket.feed(whole.slice(0, length));
    socket.feed(null);
    await assert.rejects(mux.run(), /ended in the middle of a frame/);
    assert.equal(await received, "");
  }
});

Deno.test("after close() nothing is written, and nothing comes", async () => {
  const socket = new FakeSocket();
  const mux = new Mux(socket);
  const connection = mux.open(1);
  const run = mux.run();
  mux.close();
  await run;
  await assert.rejects(connection.write(text("x")), /closed/);
  assert.equal(await collect(connection.incoming), "");
  assert.equal(await collect(mux.open(2).incoming), "");
});

Deno.test("a connection that nobody reads does not take all memory", async () => {
  const socket = new FakeSocket();
  const mux = new Mux(socket);
  mux.open(1);
  const run = mux.run();
  const rejected = assert.rejects(run, /queue is full/);
  const piece = encodeMessage(1, new Uint8Array(60_000));
  for (let i = 0; i < 1200; i++) socket.feed(piece.slice(0, 65_000));
  await rejected;
  assert.equal(socket.closed, true);
});

Deno.test("a flood of empty frames that nobody reads does not take all memory", async () => {
  const socket = new FakeSocket();
  const mux = new Mux(socket);
  mux.open(1);
  const rejected = assert.rejects(mux.run(), /queue is full/);
  const empty = encodeMessage(1, new Uint8Array(0));
  const many = new Uint8Array(empty.length * 8000);
  for (let i = 0; i < 8000; i++) many.set(empty, i * empty.length);
  for (let i = 0; i < 140; i++) socket.feed(many);
  await rejected;
  assert.equal(socket.closed, true);
});

Deno.test("a runtime that does not read what it asked for is left", async () => {
  const socket = new FakeSocket();
  socket.write = () => new Promise(() => {});
  const mux = new Mux(socket);
  const connection = mux.open(1);
  const run = mux.run();
  const answer = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 15; i++) void connection.write(answer).catch(() => {});
  assert.equal(socket.closed, false);
  for (let i = 0; i < 2; i++) void connection.write(answer).catch(() => {});
  assert.equal(socket.closed, true);
  await run;
});
