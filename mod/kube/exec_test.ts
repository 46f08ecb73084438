import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { certificates } from "../../tests/support/certificates.ts";
import {
  answerExec,
  type ExecScript,
  EXITED_0,
  exitedWith,
} from "../../tests/support/exec_server.ts";
import { KubeConfig } from "@kubernetes/client-node/config";
import { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { execInPod, type ExecResult } from "./exec.ts";
import { parseExecMessage } from "./exec_channels.ts";

interface Asked {
  readonly url: URL;
  readonly headers: ReadonlyMap<string, string>;
}

interface Ran {
  readonly run: (limit?: number) => Promise<ExecResult>;
  readonly asked: Asked[];
}

async function on(
  answer: (request: Request) => Response | Promise<Response>,
  body: (ran: Ran) => Promise<void>,
) {
  const asked: Asked[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    asked.push({ url: new URL(request.url), headers: new Map(request.headers) });
    return answer(request);
  });
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromOptions({
    clusters: [{ name: "c", server: `http://127.0.0.1:${server.addr.port}`, skipTLSVerify: true }],
    users: [{ name: "u", token: "secret" }],
    contexts: [{ name: "x", cluster: "c", user: "u" }],
    currentContext: "x",
  });
  const connection = new KubeConnection({ kubeconfig, timeout: 2_000 });
  try {
    await body({
      run: (limit = 5_000) =>
        execInPod(connection, {
          namespace: "kube-system",
          pod: "agent-1",
          container: "agent",
          command: ["/network-dra", "status", "-o", "json"],
          most: 100_000,
          signal: AbortSignal.timeout(limit),
        }),
      asked,
    });
  } finally {
    connection.close();
    await server.shutdown();
  }
}

const scripted = (script: ExecScript) => (request: Request) => answerExec(request, script);

Deno.test("execInPod() gives what the program has written, and its exit code", () =>
  on(
    scripted({ stdout: `{"a":"ü"}${"x".repeat(5_000)}`, stderr: "hm\n", status: exitedWith(3) }),
    async ({ run, asked }) => {
      const { end, stdout, stderr, cut } = await run();
      assert.deepEqual(end, { state: "exited", code: 3 });
      assert.equal(stdout, `{"a":"ü"}${"x".repeat(5_000)}`);
      assert.deepEqual([stderr, cut], ["hm\n", false]);
      const { url, headers } = asked[0]!;
      assert.equal(
        url.pathname + url.search,
        "/api/v1/namespaces/kube-system/pods/agent-1/exec?container=agent&stdout=true&stderr=true" +
          "&command=%2Fnetwork-dra&command=status&command=-o&command=json",
      );
      assert.equal(headers.get("authorization"), "Bearer secret");
      assert.match(headers.get("sec-websocket-protocol")!, /v5\.channel\.k8s\.io/);
    },
  ));

Deno.test("execInPod() trusts the cluster's authority by TLS, and no other", async () => {
  const folder = await Deno.makeTempDir();
  const { ca, cert, key } = await certificates(folder);
  const [certificate, privateKey] = [await Deno.readTextFile(cert), await Deno.readTextFile(key)];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: certificate, key: privateKey, onListen: () => {} },
    scripted({ stdout: "by TLS", status: EXITED_0 }),
  );
  const connectionWith = (caFile: string | undefined) => {
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromOptions({
      clusters: [{ name: "c", server: `https://127.0.0.1:${server.addr.port}`, caFile }],
      users: [{ name: "u", certFile: cert, keyFile: key }],
      contexts: [{ name: "x", cluster: "c", user: "u" }],
      currentContext: "x",
    });
    return new KubeConnection({ kubeconfig, timeout: 2_000 });
  };
  const [known, stranger] = [connectionWith(ca), connectionWith(undefined)];
  const request = {
    namespace: "kube-system",
    pod: "agent-1",
    container: "agent",
    command: ["/network-dra", "status"],
    most: 100,
    signal: AbortSignal.timeout(5_000),
  };
  try {
    assert.equal((await execInPod(known, request)).stdout, "by TLS");
    await assert.rejects(execInPod(stranger, request), /certificate|UnknownIssuer/);
  } finally {
    known.close();
    stranger.close();
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("execInPod() keeps no more than it is told", () =>
  on(scripted({ stdout: "x".repeat(100_001), status: EXITED_0 }), async ({ run }) => {
    const { end, stdout, cut } = await run();
    assert.deepEqual([end, stdout.length, cut], [{ state: "exited", code: 0 }, 100_000, true]);
  }));

Deno.test("execInPod() says why it is refused", () =>
  on(
    () => Response.json({ message: 'pods "agent-1" is forbidden' }, { status: 403 }),
    ({ run }) =>
      assert.rejects(run(), (error) =>
        error instanceof KubeError && error.status === 403 &&
        error.problem === 'pods "agent-1" is forbidden'),
  ));

Deno.test("execInPod() says what failed where the reason is that it was no WebSocket", () =>
  on(
    (request) =>
      request.headers.has("Upgrade")
        ? new Response("a proxy without WebSockets", { status: 502 })
        : answerExec(request, {}),
    ({ run }) => assert.rejects(run(), /no answer from .*Invalid status code: 502/),
  ));

Deno.test("execInPod() waits no longer than its signal, and not for a status that never comes", async () => {
  await on(
    scripted({ hangs: true }),
    ({ run }) => assert.rejects(run(300), /did not say in time how \/network-dra ended/),
  );
  await on(
    scripted({}),
    ({ run }) => assert.rejects(run(), /did not say how \/network-dra ended/),
  );
});

Deno.test("execInPod() loses nothing of what comes with the answer that opens the connection", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    using connection = await listener.accept();
    const buffer = new Uint8Array(10_000);
    const request = new TextDecoder().decode(buffer.subarray(0, (await connection.read(buffer))!));
    const [, key = ""] = request.match(/sec-websocket-key: (.*)\r/i) ?? [];
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    const head = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Protocol: v5.channel.k8s.io",
      `Sec-WebSocket-Accept: ${accept.digest("base64")}`,
      "\r\n",
    ].join("\r\n");
    const frames = ["\u0001well", `\u0003${JSON.stringify(EXITED_0)}`].map((text) =>
      // One frame, the last of its message, binary, and shorter than 126 bytes.
      `${String.fromCharCode(0x82, text.length)}${text}`
    );
    const text = head + frames.join("");
    await connection.write(Uint8Array.from(text, (each) => each.charCodeAt(0)));
    await connection.read(buffer);
  };
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromOptions({
    clusters: [{
      name: "c",
      server: `http://127.0.0.1:${listener.addr.port}`,
      skipTLSVerify: true,
    }],
    users: [{ name: "u", token: "secret" }],
    contexts: [{ name: "x", cluster: "c", user: "u" }],
    currentContext: "x",
  });
  const connection = new KubeConnection({ kubeconfig });
  try {
    const [{ end, stdout }] = await Promise.all([
      execInPod(connection, {
        namespace: "kube-system",
        pod: "agent-1",
        container: "agent",
        command: ["/x"],
        most: 100,
        signal: AbortSignal.timeout(5_000),
      }),
      serve(),
    ]);
    assert.deepEqual([end, stdout], [{ state: "exited", code: 0 }, "well"]);
  } finally {
    connection.close();
    listener.close();
  }
});

Deno.test("parseExecMessage() reads how a program ended", () => {
  const end = (text: string) => parseExecMessage(new TextEncoder().encode(`\u0003${text}`));
  assert.deepEqual(end(JSON.stringify(EXITED_0)), {
    channel: "status",
    end: { state: "exited", code: 0 },
  });
  assert.deepEqual(end('{"status":"Failure","message":"container not found (\\"agent\\")"}'), {
    channel: "status",
    end: { state: "failed", problem: 'container not found ("agent")' },
  });
  assert.deepEqual(end("broken"), {
    channel: "status",
    end: { state: "failed", problem: "broken" },
  });
  assert.deepEqual(parseExecMessage(new Uint8Array([9, 1])), { channel: "other" });
  assert.deepEqual(parseExecMessage(new Uint8Array()), { channel: "other" });
});
