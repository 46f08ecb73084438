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

Deno.test("a JSON Patch changes the entries that it names, of the claim as it was read", () =>
  withClaim(async ({ api, apply, shown }) => {
    const url = `${api.url}/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/c/status`;
    const patch = (...operations: object[]) =>
      status(fetch(url, {
        method: "PATCH",
        headers: { "Content-Type": "application/json-patch+json" },
        body: JSON.stringify(operations),
      }));
    const [one, other] = [device("a"), device("b", { data: { x: 1 } })];
    assert.equal(await status(apply("other", [other])), 200);
    assert.equal(await patch({ op: "add", path: "/status/devices/-", value: one }), 200);
    assert.deepEqual(shown(), [other, one]);
    const version = (api.get("default", "c")!.metadata as { resourceVersion?: string })
      .resourceVersion;
    const test = { op: "test", path: "/metadata/resourceVersion", value: version };
    assert.equal(await patch(test, { op: "remove", path: "/status/devices/0" }), 200);
    assert.deepEqual(shown(), [one]);
    assert.equal(await patch(test, { op: "remove", path: "/status/devices/0" }), 422);
    assert.equal(await patch({ op: "add", path: "/status/devices/-", value: device("c") }), 422);
    assert.equal(await patch({ op: "remove", path: "/status/allocation/devices/results/0" }), 422);
    assert.deepEqual(shown(), [one]);
    assert.equal(await status(apply("other", [])), 200);
    assert.deepEqual(shown(), [one], "an apply leaves what was patched");
    assert.equal(await patch({ op: "remove", path: "/status/devices/0" }), 200);
    assert.equal(shown(), undefined);
  }));
