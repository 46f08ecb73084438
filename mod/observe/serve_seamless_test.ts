import assert from "node:assert/strict";
import { FakeClock, FakeLog } from "../../tests/support/agent_fakes.ts";
import { issueCertificate } from "../certificates/issued.ts";
import { serveSeamlessly } from "./serve_seamless.ts";

const hostname = "localhost";

Deno.test("serveSeamlessly() waits for a port that another has, and answers every method", async () => {
  const holder = Deno.listen({ hostname, port: 0 });
  const { port } = holder.addr;
  const certificate = issueCertificate([hostname], new Date());
  const [log, clock, end] = [new FakeLog(), new FakeClock(), new AbortController()];
  const has = async (line: string) => {
    for (const until = Date.now() + 20_000; !log.lines.includes(line);) {
      assert.ok(Date.now() < until, log.lines.join("\n"));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const serving = serveSeamlessly({ hostname, port }, async (request) => {
    const { method, url, headers } = request;
    if (method === "DELETE") throw new Error("a fault");
    const said = [method, new URL(url).pathname, headers.get("X-Own"), await request.text()];
    return new Response(said.join(" "), { status: 202, headers: { "X-Answer": "yes" } });
  }, {
    what: "reviews",
    secured: "reviews",
    flag: "--listen",
    certificate: () => Promise.resolve(certificate),
    log,
    clock,
    signal: end.signal,
  });
  const client = Deno.createHttpClient({ caCerts: [certificate.ca] });
  try {
    await has("warn cannot serve reviews; trying again (set --listen to another address)");
    holder.close();
    await clock.advance(1_000);
    await has("info reviews are served");
    const ask = (init: RequestInit) =>
      fetch(`https://${hostname}:${port}/a/b?c`, { ...init, client, headers: { "X-Own": "mine" } });
    const posted = await ask({ method: "POST", body: "x" });
    assert.deepEqual([posted.status, posted.headers.get("X-Answer")], [202, "yes"]);
    assert.equal(await posted.text(), "POST /a/b mine x");
    assert.equal(await (await ask({ method: "GET" })).text(), "GET /a/b mine ");
    const head = await ask({ method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [202, ""]);
    await assert.rejects(ask({ method: "DELETE" }));
    await has("error cannot answer a request for reviews");
    assert.equal(
      await (await ask({ method: "GET" })).text(),
      "GET /a/b mine ",
      "others are served",
    );
  } finally {
    client.close();
    end.abort();
    await serving;
  }
});
