import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RequestSchema, ResponseSchema } from "../../proto/gen/ttrpc/ttrpc_pb.ts";
import { TtrpcClient } from "./client.ts";
import type { ByteConnection } from "./connection.ts";
import { TtrpcError } from "./error.ts";
import { encodeFrame, type Frame, FrameDecoder, HEADER_LENGTH } from "./frame.ts";
import { type Method, serve } from "./server.ts";

/** Two ends of a connection in memory. */
function pair(): [End, End] {
  const [a, b] = [new End(), new End()];
  a.peer = b;
  b.peer = a;
  return [a, b];
}

class End implements ByteConnection {
  peer!: End;
  readonly #controller = Promise.withResolvers<ReadableStreamDefaultController<Uint8Array>>();
  readonly incoming = new ReadableStream<Uint8Array>({
    start: (controller) => this.#controller.resolve(controller),
  });
  #open = true;

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.peer.#open) throw new Error("closed");
    (await this.peer.#controller.promise).enqueue(bytes.slice());
  }

  async close(): Promise<void> {
    for (const end of [this, this.peer]) {
      if (end.#open) (await end.#controller.promise).close();
      end.#open = false;
    }
  }
}

const text = (value: string) => new TextEncoder().encode(value);
const echo: Method = (payload) => Promise.resolve(payload);
const lengthOf: Method = ({ length }) => Promise.resolve(text(`${length}`));

function setUp(methods: Record<string, Method>) {
  const [client, server] = pair();
  const served = serve(server, new Map(Object.entries(methods)));
  return { client: new TtrpcClient(client), raw: client, served };
}

const options = { timeout: 1000 };

Deno.test("a call gets its payload back, an empty one too", async () => {
  const { client, raw, served } = setUp({ "s/echo": echo });
  assert.deepEqual(await client.call(["s", "echo"], text("hello"), options), text("hello"));
  assert.deepEqual(await client.call(["s", "echo"], text(""), options), text(""));
  await raw.close();
  await served;
});

Deno.test("calls run side by side and are answered in any order", async () => {
  const gate = Promise.withResolvers<void>();
  const { client, raw, served } = setUp({
    "s/slow": async (payload) => {
      await gate.promise;
      return payload;
    },
    "s/fast": echo,
  });
  const slow = client.call(["s", "slow"], text("slow"), options);
  assert.deepEqual(await client.call(["s", "fast"], text("fast"), options), text("fast"));
  gate.resolve();
  assert.deepEqual(await slow, text("slow"));
  await raw.close();
  await served;
});

Deno.test("errors carry code and message", async () => {
  const { client, raw, served } = setUp({
    "s/plain": () => Promise.reject(new Error("boom")),
    "s/coded": () => Promise.reject(new TtrpcError(13, "inside")),
  });
  const rejects = (method: string, code: number, message: RegExp) =>
    assert.rejects(client.call(["s", method], text(""), options), (error: TtrpcError) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  await rejects("plain", 2, /^boom$/);
  await rejects("coded", 13, /^inside$/);
  await rejects("absent", 12, /s\/absent is not implemented/);
  await raw.close();
  await served;
});

Deno.test("a call's time-out is kept on both sides", async () => {
  const aborted = Promise.withResolvers<void>();
  const { client, raw, served } = setUp({
    "s/never": (_, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(signal.reason);
        });
      }),
  });
  await assert.rejects(client.call(["s", "never"], text(""), { timeout: 50 }), { code: 4 });
  await aborted.promise;
  await raw.close();
  await served;
});

Deno.test("calls fail when the connection closes, and so do later ones", async () => {
  const { client, raw, served } = setUp({ "s/never": () => new Promise(() => {}) });
  const call = client.call(["s", "never"], text(""), options);
  const rejected = assert.rejects(call, { code: 14 });
  await raw.close();
  await rejected;
  await assert.rejects(client.call(["s", "never"], text(""), options), { code: 14 });
  await served;
});

Deno.test("requests that are not acceptable are refused, and the connection stays", async (t) => {
  const request = toBinary(RequestSchema, create(RequestSchema, { service: "s", method: "echo" }));
  const oversized = new Uint8Array(HEADER_LENGTH + 4 * 1024 * 1024 + 1);
  new DataView(oversized.buffer).setUint32(0, oversized.length - HEADER_LENGTH);
  oversized.set([0, 0, 0, 9, 1], 4);
  const frame = (streamId: number, data: Uint8Array) =>
    encodeFrame({ streamId, type: 1, flags: 0, data });
  const cases: Record<string, { sent: Uint8Array[]; codes: number[] }> = {
    "an even stream id": { sent: [frame(2, request)], codes: [3] },
    "a stream id that is not above the last": {
      sent: [frame(5, request), frame(5, request), frame(3, request)],
      codes: [0, 3, 3],
    },
    "bytes that are not a request": { sent: [frame(1, new Uint8Array([0xff, 0xff]))], codes: [3] },
    "an oversized message": { sent: [oversized], codes: [8] },
    "a frame of an unknown type": {
      sent: [encodeFrame({ streamId: 1, type: 9, flags: 0, data: request })],
      codes: [],
    },
  };
  for (const [name, { sent, codes }] of Object.entries(cases)) {
    await t.step(name, async () => {
      const [client, server] = pair();
      const served = serve(server, new Map([["s/echo", echo]]));
      for (const bytes of sent) await client.write(bytes);
      await client.write(frame(99, request));
      const found: number[] = [];
      for await (const bytes of client.incoming) {
        // Header, then status {code} where there is one.
        const status = bytes.length === HEADER_LENGTH ? 0 : bytes[HEADER_LENGTH + 3]!;
        const streamId = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
        if (streamId === 99) {
          assert.equal(status, 0);
          await client.close();
        } else {
          found.push(status);
        }
      }
      assert.deepEqual(found.toSorted(), codes.toSorted());
      await served;
    });
  }
});

Deno.test("a server that is to take more than 4 MiB does, and no more than that", async () => {
  const [client, server] = pair();
  const served = serve(server, new Map([["s/length", lengthOf]]), { limit: 5 * 2 ** 20 });
  const frame = (streamId: number, size: number) => {
    const payload = new Uint8Array(size);
    const request = create(RequestSchema, { service: "s", method: "length", payload });
    const data = toBinary(RequestSchema, request);
    const bytes = new Uint8Array(HEADER_LENGTH + data.length);
    new DataView(bytes.buffer).setUint32(0, data.length);
    bytes.set([0, 0, 0, streamId, 1], 4);
    bytes.set(data, HEADER_LENGTH);
    return bytes;
  };
  const decoder = new FrameDecoder();
  const reader = client.incoming.getReader();
  const answers: unknown[] = [];
  for (const bytes of [frame(1, 4.5 * 2 ** 20), frame(3, 5 * 2 ** 20), frame(5, 7)]) {
    await client.write(bytes);
    const [{ data }] = decoder.push((await reader.read()).value!) as [Frame];
    const { status, payload } = fromBinary(ResponseSchema, data);
    answers.push(status?.message ?? new TextDecoder().decode(payload));
  }
  assert.deepEqual(answers, [`${4.5 * 2 ** 20}`, "the message exceeds 5 MiB", "7"]);
  reader.releaseLock();
  await client.close();
  await served;
});

Deno.test("a time-out beyond what timers support is not a time-out of a millisecond", async () => {
  const [near, far] = pair();
  const slow: Method = (payload) =>
    new Promise((resolve) => setTimeout(() => resolve(payload), 30));
  const served = serve(far, new Map([["s/slow", slow]]));
  const request = create(RequestSchema, {
    service: "s",
    method: "slow",
    payload: text("late"),
    timeoutNano: 2n ** 63n - 1n,
  });
  const data = toBinary(RequestSchema, request);
  await near.write(encodeFrame({ streamId: 1, type: 1, flags: 0, data }));
  const { value } = await near.incoming.getReader().read();
  const [frame] = new FrameDecoder().push(value!);
  const { status, payload } = fromBinary(ResponseSchema, frame!.data);
  assert.deepEqual([status, payload], [undefined, text("late")]);
  await near.close();
  await served;
});

Deno.test("of a flood of calls most are refused at once, and memory is not asked for each", async () => {
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const { client, raw, served } = setUp({
    "s/slow": async (payload) => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
      return payload;
    },
  });
  const calls = Array.from({ length: 1000 }, () => {
    return client.call(["s", "slow"], text("x"), { timeout: 10_000 }).then(
      () => 0,
      (error) => error.code,
    );
  });
  while (most < 64) await new Promise((resolve) => setTimeout(resolve, 1));
  setTimeout(() => gate.resolve(), 50);
  const codes = await Promise.all(calls);
  assert.equal(most, 64);
  assert.equal(codes.filter((code) => code === 8).length, 1000 - 64);
  assert.deepEqual(await client.call(["s", "slow"], text("after"), options), text("after"));
  await raw.close();
  await served;
});
