import assert from "node:assert/strict";
import { join } from "node:path";
import { FakeClock, FakeLog } from "../../tests/support/agent_fakes.ts";
import type { Access } from "../agent/ports.ts";
import type { Certificate } from "../certificates/certificate.ts";
import { selfSigned } from "../certificates/self_signed.ts";
import { certificateFiles, type ReadCertificate } from "./certificate.ts";
import { serveSecureMetrics } from "./secure_metrics.ts";

const hostname = "localhost";

/** What the API server says, by token; an error for one that it has no answer for. */
const USERS: Readonly<Record<string, Access>> = {
  prometheus: { kind: "allowed" },
  tenant: { kind: "forbidden", user: "system:serviceaccount:a:tenant" },
  expired: { kind: "unknown" },
};

function freePort(): number {
  const listener = Deno.listen({ hostname, port: 0 });
  listener.close();
  return listener.addr.port;
}

const newCertificate = () => selfSigned(["node-1", "localhost"], new Date());

async function withServer(
  body: (bench: {
    readonly get: (
      authorization?: string,
      options?: { readonly path?: string; readonly method?: string },
    ) => Promise<{ readonly status: number; readonly text: string; readonly headers: Headers }>;
    readonly trust: (certificate: Certificate) => void;
    readonly asked: string[];
    readonly log: FakeLog;
    readonly clock: FakeClock;
    readonly served: (times: number) => Promise<void>;
  }) => Promise<void>,
  read?: ReadCertificate,
): Promise<void> {
  const certificate = newCertificate();
  const [log, clock, end] = [new FakeLog(), new FakeClock(), new AbortController()];
  const port = freePort();
  const asked: string[] = [];
  const serving = serveSecureMetrics({ hostname, port }, {
    metrics: { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("up 1\n") },
    access: {
      review: (token) => {
        asked.push(token);
        const access = USERS[token];
        return access ? Promise.resolve(access) : Promise.reject(new Error("no answer from it"));
      },
    },
    certificate: read ?? (() => Promise.resolve(certificate)),
  }, { log, clock, signal: end.signal });
  let client = Deno.createHttpClient({ caCerts: [certificate.cert] });
  try {
    await body({
      get: async (authorization, { path = "/metrics", method = "GET" } = {}) => {
        const headers = authorization === undefined ? undefined : { authorization };
        const url = `https://${hostname}:${port}${path}`;
        const response = await fetch(url, { method, headers, client });
        const { status } = response;
        return { status, headers: response.headers, text: await response.text() };
      },
      trust: ({ cert }) => {
        client.close();
        client = Deno.createHttpClient({ caCerts: [cert] });
      },
      asked,
      log,
      clock,
      served: async (times) => {
        const line = "info secure metrics are served";
        while (log.lines.filter((each) => each === line).length < times) {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
    });
  } finally {
    client.close();
    end.abort();
    await serving;
  }
}

Deno.test("metrics go to those alone whom the API server lets read them", () =>
  withServer(async ({ get, served, log }) => {
    await served(1);
    const cases: [string | undefined, number, RegExp][] = [
      ["Bearer prometheus", 200, /^up 1\n$/],
      [undefined, 401, /^give the token of a ServiceAccount/],
      ["Basic cHJvbWV0aGV1cw==", 401, /^give the token/],
      [`Bearer ${"x".repeat(9_000)}`, 401, /^give the token/],
      ["Bearer expired", 401, /does not know the token/],
      ["Bearer tenant", 403, /^system:serviceaccount:a:tenant may not get \/metrics: bind it/],
      ["Bearer away", 503, /^the API server does not tell the agent whether you may/],
    ];
    for (const [authorization, status, said] of cases) {
      const answer = await get(authorization);
      assert.equal(answer.status, status, `${authorization}`.slice(0, 20));
      assert.match(answer.text, said);
      assert.equal(answer.headers.get("WWW-Authenticate"), status === 401 ? "Bearer" : null);
      assert.doesNotMatch(answer.text, /no answer from it/, "it tells strangers of the cluster");
    }
    assert.ok(log.lines.includes("warn cannot ask the API server who may read the metrics"));
    assert.equal((await get("Bearer prometheus", { path: "/healthz" })).status, 404);
    assert.equal((await get("Bearer prometheus", { method: "POST" })).status, 405);
  }));

Deno.test("many connections at once cost the API server one question", () =>
  withServer(async ({ get, served, asked }) => {
    await served(1);
    const answers = await Promise.all(Array.from({ length: 200 }, () => get("Bearer prometheus")));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.deepEqual(asked, ["prometheus"]);
  }));

Deno.test("a certificate that is renewed is used; one that is wrong is not", async () => {
  const folder = await Deno.makeTempDir();
  const paths = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  const write = async ({ cert, key }: Certificate) => {
    await Deno.writeTextFile(paths.cert, cert);
    await Deno.writeTextFile(paths.key, key);
  };
  try {
    await withServer(async ({ get, trust, clock, log, served }) => {
      const wrong =
        "warn cannot use the certificate for metrics; metrics are not served until it is right";
      while (!log.lines.includes(wrong)) await new Promise((resolve) => setTimeout(resolve, 5));
      const [first, second] = [newCertificate(), newCertificate()];
      await write(first);
      await clock.advance(10_000);
      await served(1);
      trust(first);
      assert.equal((await get("Bearer prometheus")).status, 200);
      await write({ cert: second.cert, key: first.key });
      const kept =
        "warn cannot use the certificate for metrics; the previous one is used until it is right";
      while (!log.lines.includes(kept)) {
        await clock.advance(10_000);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal((await get("Bearer prometheus")).status, 200);
      await write(second);
      while (log.lines.filter((line) => line === "info secure metrics are served").length < 2) {
        await clock.advance(10_000);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      trust(second);
      assert.equal((await get("Bearer prometheus")).status, 200);
    }, certificateFiles(paths));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
