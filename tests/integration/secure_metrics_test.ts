/** Metrics by HTTPS from a confined agent, beside a simulated API server that says who may read them. */
import assert from "node:assert/strict";
import { AgentNode } from "../support/agent_node.ts";
import { selfSigned } from "../../mod/certificates/self_signed.ts";
import { join } from "node:path";

const TOKENS: Readonly<Record<string, string>> = { "token-p": "prometheus", "token-t": "tenant" };

/** Answers reviews as a cluster would in which prometheus alone may read metrics. */
async function review(request: Request): Promise<Response | undefined> {
  const { pathname } = new URL(request.url);
  if (pathname === "/apis/authentication.k8s.io/v1/tokenreviews") {
    const username = TOKENS[(await request.json()).spec.token];
    const status = username ? { authenticated: true, user: { username } } : {};
    return Response.json({ status }, { status: 201 });
  }
  if (pathname === "/apis/authorization.k8s.io/v1/subjectaccessreviews") {
    const { user, nonResourceAttributes: { path, verb } } = (await request.json()).spec;
    const allowed = user === "prometheus" && path === "/metrics" && verb === "get";
    return Response.json({ status: { allowed } }, { status: 201 });
  }
  return undefined;
}

Deno.test("metrics by HTTPS: the token's user must be allowed; health stays plain", async () => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const { cert, key } = selfSigned(["localhost"], new Date());
  const paths = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  await Deno.writeTextFile(paths.cert, cert);
  await Deno.writeTextFile(paths.key, key);
  const client = Deno.createHttpClient({ caCerts: [cert] });
  try {
    await using node = await AgentNode.start([
      ...["--listen", "127.0.0.1:9277", "--metrics-secure", "localhost:9278"],
      ...["--metrics-cert", paths.cert, "--metrics-key", paths.key],
    ]);
    node.api.fault = review;
    await node.agent.logged("secure metrics are served");
    const get = async (token?: string) => {
      const headers = token === undefined ? undefined : { Authorization: `Bearer ${token}` };
      const response = await fetch("https://localhost:9278/metrics", { headers, client });
      const [line = ""] = (await response.text()).split("\n");
      return [response.status, line] as const;
    };
    const [status, first] = await get("token-p");
    assert.deepEqual([status, first.slice(0, 7)], [200, "# HELP "]);
    assert.equal((await get())[0], 401);
    assert.equal((await get("token-x"))[0], 401);
    assert.equal((await get("token-t"))[0], 403);
    const plain = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:9277${path}`);
      return [response.status, await response.text()];
    };
    assert.equal((await plain("/healthz"))[0], 200);
    assert.equal((await plain("/readyz"))[0], 200);
    assert.deepEqual(await plain("/metrics"), [
      403,
      "metrics are served by HTTPS alone: see --metrics-secure\n",
    ]);
    await node.api.stop();
    assert.equal((await get("token-p"))[0], 200, "what was allowed a moment ago still is");
    const [away, said] = await get("token-new");
    assert.equal(away, 503);
    assert.match(said, /^the API server does not tell the agent whether you may/);
  } finally {
    client.close();
    await Deno.remove(folder, { recursive: true });
  }
});
