import assert from "node:assert/strict";
import { KubeConfig } from "@kubernetes/client-node/config";
import { KubeConnection } from "./connection.ts";

/** Runs with a server that answers with a text, in pieces. */
async function onText(
  pieces: readonly string[],
  body: (tail: (most: number) => Promise<{ text: string; cut: boolean }>) => Promise<void>,
) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    const left = pieces.map((piece) => new TextEncoder().encode(piece));
    return new Response(
      new ReadableStream({
        pull: async (stream) => {
          const next = left.shift();
          if (next) return stream.enqueue(next);
          // One that ends with "…" stays silent.
          if (pieces.at(-1)?.endsWith("…")) await new Promise(() => {});
          stream.close();
        },
      }),
    );
  });
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromOptions({
    clusters: [{ name: "c", server: `http://127.0.0.1:${server.addr.port}`, skipTLSVerify: true }],
    users: [{ name: "u" }],
    contexts: [{ name: "x", cluster: "c", user: "u" }],
    currentContext: "x",
  });
  const connection = new KubeConnection({ kubeconfig });
  try {
    await body(async (most) => {
      const signal = new AbortController().signal;
      const { bytes, cut } = await connection.tail({ path: "/log", most, limit: 500, signal });
      return { text: new TextDecoder().decode(bytes), cut };
    });
  } finally {
    connection.close();
    await server.shutdown();
  }
}

Deno.test("tail() gives the last bytes, and says whether there were more", () =>
  onText(["one ", "two ", "three"], async (tail) => {
    assert.deepEqual(await tail(100), { text: "one two three", cut: false });
    assert.deepEqual(await tail(13), { text: "one two three", cut: false });
    assert.deepEqual(await tail(12), { text: "ne two three", cut: true });
    assert.deepEqual(await tail(9), { text: "two three", cut: true });
    assert.deepEqual(await tail(2), { text: "ee", cut: true });
  }));

Deno.test("tail() of an empty answer is empty", () =>
  onText([], async (tail) => assert.deepEqual(await tail(10), { text: "", cut: false })));

Deno.test("tail() gives up an answer that does not end", () =>
  onText(["some…"], (tail) => assert.rejects(tail(10), /no answer from .*timed out/)));

Deno.test("KubeConnection refuses a kubeconfig whose server is not an address", () => {
  for (const server of ["not a url", "ftp://x", "10.0.0.1:6443"]) {
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: "c", server, skipTLSVerify: false }],
      users: [{ name: "u" }],
      contexts: [{ name: "c", cluster: "c", user: "u" }],
      currentContext: "c",
    });
    assert.throws(() => new KubeConnection({ kubeconfig: config }), {
      message:
        `the kubeconfig: the server ${JSON.stringify(server)} of the current context's cluster ` +
        "must be an address such as https://10.0.0.1:6443",
    });
  }
});
