import assert from "node:assert/strict";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { rawClaim, rawCluster } from "../../tests/support/cluster_objects.ts";
import { withUserConnection } from "../../tests/support/user_connection.ts";
import { listPath } from "../cluster/kinds.ts";
import { ReadError } from "../cluster/ports.ts";
import { KubeObjectSource } from "./object_source.ts";

const claims = Array.from({ length: 5 }, (_, i) => rawClaim(`claim-${i}`));

function withSource(
  body: (source: KubeObjectSource, api: ClusterApi) => Promise<void>,
  options: { readonly timeout?: number } = {},
) {
  return withClusterApi(rawCluster({ resourceclaims: claims }), (api) =>
    withUserConnection(
      api,
      (connection) => body(new KubeObjectSource(connection, { page: 2 }), api),
      options,
    ));
}

const { signal } = new AbortController();

async function error(source: KubeObjectSource, path: string): Promise<ReadError> {
  try {
    await Array.fromAsync(source.list(path, signal));
  } catch (error) {
    assert.ok(error instanceof ReadError);
    return error;
  }
  throw new Error("it could be read");
}

Deno.test("KubeObjectSource reads a list page by page", () =>
  withSource(async (source, api) => {
    const pages = await Array.fromAsync(
      source.list(listPath("ResourceClaim", { namespace: "default" }), signal),
    );
    assert.deepEqual(pages.map(({ items }) => items.length), [2, 2, 1]);
    assert.deepEqual(pages.flatMap(({ items }) => items), claims);
    assert.equal(pages.at(-1)!.resourceVersion, "1000");
    const path = "GET /apis/resource.k8s.io/v1/namespaces/default/resourceclaims?limit=2";
    assert.deepEqual(api.asked, [path, `${path}&continue=2`, `${path}&continue=4`]);
  }));

Deno.test("KubeObjectSource says in a sentence why it cannot read", async (t) => {
  const cases: [number, string, RegExp][] = [
    [401, "unauthorized", /does not accept the credentials of the kubeconfig: said$/],
    [403, "forbidden", /^you have no right to list resourceclaims in the whole cluster \(said\)$/],
    [404, "not-served", /does not serve resource\.k8s\.io\/v1: Kubernetes 1\.34 or later/],
    [500, "failed", /^cannot list resourceclaims: .*500: said$/],
  ];
  for (const [status, reason, message] of cases) {
    await t.step(`${status}`, () =>
      withSource(async (source, api) => {
        api.fault = () => Response.json({ message: "said" }, { status });
        const found = await error(source, listPath("ResourceClaim"));
        assert.equal(found.reason, reason);
        assert.match(found.message, message);
      }));
  }
  await t.step("in a namespace", () =>
    withSource(async (source, api) => {
      api.fault = () => Response.json({ message: "said" }, { status: 403 });
      const { message } = await error(source, listPath("Pod", { namespace: "team a" }));
      assert.match(message, /list pods in the namespace team a /);
    }));
});

Deno.test("KubeObjectSource waits for an API server that hangs only so long", () =>
  withSource(async (source, api) => {
    const hanging = Promise.withResolvers<undefined>();
    api.fault = () => hanging.promise;
    const { reason, message } = await error(source, listPath("Node"));
    hanging.resolve(undefined);
    assert.equal(reason, "unanswered");
    assert.match(
      message,
      /^no answer from http:\/\/127\.0\.0\.1:\d+: timed out; see whether the API server runs .*, or let it take longer with --request-timeout$/,
    );
  }, { timeout: 200 }));

Deno.test("KubeObjectSource says so where what answers is not an API server", async (t) => {
  const NO_LIST = /^cannot list resourceclaims: the answer is not a list of objects: is http/;
  const cases: [answer: string, message: RegExp][] = [
    ["<html>Login</html>", /is not JSON, or is cut off: is that an API server, .*login/],
    ['{"items":[{"metadata":{"na', /is not JSON, or is cut off/],
    ["null", NO_LIST],
    ["[]", NO_LIST],
    ["{}", NO_LIST],
    ['{"items":{}}', NO_LIST],
    ['{"items":[null]}', NO_LIST],
    ['{"items":[{}]}', NO_LIST],
    [
      '{"metadata":{"continue":"x"},"items":[]}',
      /^cannot list resourceclaims: its pages do not end/,
    ],
  ];
  for (const [answer, message] of cases) {
    await t.step(answer, () =>
      withSource(async (source, api) => {
        api.fault = () => new Response(answer);
        assert.match((await error(source, listPath("ResourceClaim"))).message, message);
      }));
  }
});

Deno.test("KubeObjectSource keeps what an answer says to one line, and short", () =>
  withSource(async (source, api) => {
    const message = `no\r\nall is well\u001b[2J${"x".repeat(5_000)}`;
    api.fault = () => Response.json({ message }, { status: 500 });
    const { message: json } = await error(source, listPath("ResourceClaim"));
    assert.match(json, /500: no all is well \[2Jx+…$/);
    assert.ok(json.length < 2_200);
    api.fault = () => new Response("", { status: 500 });
    const { message: empty } = await error(source, listPath("ResourceClaim"));
    assert.match(empty, /500: the answer has no message$/);
  }));
