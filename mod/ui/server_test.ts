import assert from "node:assert/strict";
import type { Way } from "../cluster/explain.ts";
import { EventReader, type StreamEvent } from "./event_stream.ts";
import type { MapChanges } from "./map_changes.ts";
import type { MapPicture } from "./map_picture.ts";
import type { ShownCluster } from "./ports.ts";
import { PageServer } from "./server.ts";

const TOKEN = "a-token-that-nobody-guesses";
const PICTURE: MapPicture = {
  nodes: [],
  devices: [],
  networks: [],
  pods: [],
  summary: { server: "", drivers: [], reading: false, unread: [], findings: [] },
};
const WAY: Way = { podClaim: "lan", steps: [] };
const FILES = { html: "<!doctype html>", css: "body {}", js: "void 0" };

class FakeCluster implements ShownCluster {
  readonly picture = PICTURE;
  readonly listeners = new Set<(changes: MapChanges) => void>();

  subscribe(listener: (changes: MapChanges) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  explain(uid: string): readonly Way[] | undefined {
    return uid === "uid-web" ? [WAY] : undefined;
  }
}

function bench() {
  const [cluster, end] = [new FakeCluster(), new AbortController()];
  const server = new PageServer({ token: TOKEN, files: FILES, cluster, signal: end.signal });
  const ask = (
    path: string,
    { token, host = "127.0.0.1:8478", method = "GET" }: {
      readonly token?: string;
      readonly host?: string;
      readonly method?: string;
    } = {},
  ) =>
    server.handle(
      new Request(`http://${host}${path}`, {
        method,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      }),
    );
  return { cluster, end, ask };
}

Deno.test("PageServer gives the page to anybody, with a policy that lets it load nothing from elsewhere", async () => {
  const { ask } = bench();
  for (
    const [path, body] of [["/", FILES.html], ["/page.css", FILES.css], ["/page.js", FILES.js]]
  ) {
    const response = ask(path!);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), body);
    const policy = response.headers.get("content-security-policy")!;
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src/);
    assert.doesNotMatch(policy, /unsafe|http|\*/);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("cache-control"), "no-store");
  }
});

for (
  const token of [undefined, "", "wrong", TOKEN.slice(1), `${TOKEN}x`, TOKEN.toUpperCase()]
) {
  Deno.test(`PageServer gives no data for the token ${token}`, async () => {
    const { ask, cluster } = bench();
    for (const path of ["/data/events", "/data/way?pod=uid-web", `/data/events?token=${TOKEN}`]) {
      const response = ask(path, token === undefined ? {} : { token });
      assert.equal(response.status, 401);
      assert.match(await response.text(), /open the address that the command printed/);
    }
    assert.equal(cluster.listeners.size, 0);
  });
}

for (const host of ["evil.example", "127.0.0.1.evil.example:8478", "10.0.0.7:8478", "[::1]:8478"]) {
  Deno.test(`PageServer refuses the host ${host}, by which another site may have been rebound`, async () => {
    const { ask } = bench();
    for (const path of ["/", "/data/way?pod=uid-web"]) {
      const response = ask(path, { host, token: TOKEN });
      assert.equal(response.status, 403);
      assert.match(await response.text(), /only, not as/);
    }
  });
}

Deno.test("PageServer takes another port of this machine, as SSH forwards it", () => {
  assert.equal(bench().ask("/", { host: "localhost:9000" }).status, 200);
});

for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]) {
  Deno.test(`PageServer refuses ${method}`, () => {
    const response = bench().ask("/data/way?pod=uid-web", { method, token: TOKEN });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET");
  });
}

Deno.test("PageServer gives the way of a pod, and says that one is gone", async () => {
  const { ask } = bench();
  const response = ask("/data/way?pod=uid-web", { token: TOKEN });
  assert.deepEqual(await response.json(), [WAY]);
  const gone = ask("/data/way?pod=uid-other", { token: TOKEN });
  assert.equal(gone.status, 404);
  assert.equal(await gone.text(), "the pod is gone\n");
  for (const path of ["/data/other", "/other"]) {
    assert.equal(ask(path, { token: TOKEN }).status, 404);
  }
});

Deno.test("PageServer streams the picture and then its changes, until the page goes", async () => {
  const { ask, cluster } = bench();
  const response = ask("/data/events", { token: TOKEN });
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const next = reading(response);
  assert.deepEqual(await next(), { type: "picture", data: JSON.stringify(PICTURE) });
  const changes: MapChanges = { set: {}, gone: { pods: ["uid-web"] } };
  for (const listener of cluster.listeners) listener(changes);
  assert.deepEqual(await next(), { type: "changes", data: JSON.stringify(changes) });
  await next.cancel();
  assert.equal(cluster.listeners.size, 0);
});

Deno.test("PageServer ends its streams when the command ends", async () => {
  const { ask, cluster, end } = bench();
  const response = ask("/data/events", { token: TOKEN });
  end.abort();
  assert.match(await response.text(), /^event: picture\n/);
  assert.equal(cluster.listeners.size, 0);
});

Deno.test("PageServer has a limit of pages, and cuts off one that does not read", async () => {
  const { ask, cluster, end } = bench();
  const open = Array.from({ length: 32 }, () => ask("/data/events", { token: TOKEN }));
  const refused = ask("/data/events", { token: TOKEN });
  assert.equal(refused.status, 503);
  assert.match(await refused.text(), /close one/);
  for (let i = 0; i < 200; i++) {
    for (const listener of cluster.listeners) listener({ set: {}, gone: {} });
  }
  assert.equal(cluster.listeners.size, 0);
  assert.equal(ask("/data/events", { token: TOKEN }).status, 200);
  end.abort();
  for (const { body } of open) await body!.cancel();
});

/** The events of a response, one after the other. */
function reading(response: Response) {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  const waiting: StreamEvent[] = [];
  const next = async () => {
    while (waiting.length === 0) waiting.push(...events.push((await reader.read()).value!));
    return waiting.shift();
  };
  return Object.assign(next, { cancel: () => reader.cancel() });
}

Deno.test("PageServer refuses a request whose host is no host", async () => {
  const server = new PageServer({
    token: TOKEN,
    files: FILES,
    cluster: new FakeCluster(),
    signal: new AbortController().signal,
  });
  // As Deno makes it of "Host: a b"; a Request of a test cannot have such an address.
  const response = server.handle({ url: "http://a b/", method: "GET" } as Request);
  assert.equal(response.status, 400);
  assert.match(await response.text(), /host of the request is not valid/);
});
