import assert from "node:assert/strict";
import { SimulatedApiServer } from "./api_server.ts";

const device = (name: string, more: object = {}) => ({
  driver: "d",
  pool: "p",
  device: name,
  ...more,
});

async function withClaim(
  body: (bench: {
    api: SimulatedApiServer;
    apply: (manager: string, devices: object[], metadata?: object) => Promise<Response>;
    shown: () => unknown;
  }) => Promise<void>,
) {
  const api = new SimulatedApiServer();
  api.start();
  const results = ["a", "b"].map((name) => device(name));
  api.put({ metadata: { name: "c" }, status: { allocation: { devices: { results } } } });
  const apply = (manager: string, devices: object[], metadata: object = {}) =>
    fetch(
      `${api.url}/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/c/status` +
        `?fieldManager=${manager}&force=true`,
      {
        method: "PATCH",
        headers: { "Content-Type": "application/apply-patch+yaml" },
        body: JSON.stringify({ metadata, status: { devices } }),
      },
    );
  try {
    await body({ api, apply, shown: () => api.get("default", "c")?.status?.devices });
  } finally {
    await api.stop();
  }
}

async function status(answer: Promise<Response>): Promise<number> {
  const response = await answer;
  await response.body?.cancel();
  return response.status;
}

Deno.test("an apply replaces the manager's entries and leaves those of others", () =>
  withClaim(async ({ apply, shown }) => {
    assert.equal(await status(apply("one", [device("a", { data: { x: 1 } })])), 200);
    assert.equal(await status(apply("other", [device("b")])), 200);
    assert.deepEqual(shown(), [device("a", { data: { x: 1 } }), device("b")]);
    assert.equal(await status(apply("one", [device("a", { networkData: {} })])), 200);
    assert.deepEqual(shown(), [device("a", { networkData: {} }), device("b")]);
    assert.equal(await status(apply("one", [])), 200);
    assert.deepEqual(shown(), [device("b")]);
    assert.equal(await status(apply("other", [])), 200);
    assert.equal(shown(), undefined);
  }));

Deno.test("an apply that is not valid, for another claim or of another type changes nothing", () =>
  withClaim(async ({ api, apply, shown }) => {
    assert.equal(await status(apply("one", [device("c")])), 422);
    assert.equal(await status(apply("one", [device("a")], { uid: "another" })), 409);
    assert.equal(await status(apply("", [device("a")])), 400);
    const url = `${api.url}/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/c/status`;
    assert.equal(await status(fetch(url, { method: "PATCH", body: "{}" })), 415);
    assert.equal(await status(fetch(url.replace("/c/", "/x/"), { method: "PATCH" })), 404);
    assert.equal(shown(), undefined);
  }));
