import assert from "node:assert/strict";
import { withApi } from "../../tests/support/api_connection.ts";
import { KubeAccessReview } from "./access_review.ts";

const signal = new AbortController().signal;
const USER = {
  username: "system:serviceaccount:monitoring:prometheus",
  uid: "1",
  groups: ["system:serviceaccounts"],
  extra: { "authentication.kubernetes.io/pod-name": ["prometheus-0"] },
};

/** Answers reviews as the API server would; collects what was asked. */
function answers(
  token: unknown,
  access: unknown = {},
): {
  readonly asked: [string, unknown][];
  readonly fault: (request: Request) => Promise<Response>;
} {
  const asked: [string, unknown][] = [];
  return {
    asked,
    fault: async (request) => {
      const { pathname } = new URL(request.url);
      asked.push([`${request.method} ${pathname}`, (await request.json()).spec]);
      return Response.json({ status: pathname.endsWith("/tokenreviews") ? token : access }, {
        status: 201,
      });
    },
  };
}

Deno.test("KubeAccessReview asks whose the token is, then whether that user may get the path", () =>
  withApi(async ({ api, connection }) => {
    const { asked, fault } = answers({ authenticated: true, user: USER }, { allowed: true });
    api.fault = fault;
    const review = new KubeAccessReview(connection, { path: "/metrics" });
    assert.deepEqual(await review.review("secret", signal), { kind: "allowed" });
    assert.deepEqual(asked, [
      ["POST /apis/authentication.k8s.io/v1/tokenreviews", { token: "secret" }],
      ["POST /apis/authorization.k8s.io/v1/subjectaccessreviews", {
        user: USER.username,
        uid: USER.uid,
        groups: USER.groups,
        extra: USER.extra,
        nonResourceAttributes: { path: "/metrics", verb: "get" },
      }],
    ]);
  }));

Deno.test("KubeAccessReview takes for allowed only what the API server allows", () =>
  withApi(async ({ api, connection }) => {
    const review = new KubeAccessReview(connection, { path: "/metrics" });
    const cases: [unknown, unknown, string][] = [
      [{ authenticated: false }, {}, "unknown"],
      [{ authenticated: true }, {}, "unknown"],
      [{}, {}, "unknown"],
      [{ authenticated: true, user: USER }, { allowed: false }, "forbidden"],
      [{ authenticated: true, user: USER }, {}, "forbidden"],
      [{ authenticated: true, user: USER }, { allowed: "yes" }, "forbidden"],
    ];
    for (const [token, access, kind] of cases) {
      api.fault = answers(token, access).fault;
      assert.equal((await review.review("secret", signal)).kind, kind, JSON.stringify(token));
    }
  }));

Deno.test("KubeAccessReview throws when the API server is away or forbids to ask", () =>
  withApi(async ({ api, connection }) => {
    const review = new KubeAccessReview(connection, { path: "/metrics" });
    api.fault = () => Response.json({ message: "tokenreviews is forbidden" }, { status: 403 });
    await assert.rejects(review.review("secret", signal), /tokenreviews is forbidden/);
    await api.stop();
    await assert.rejects(review.review("secret", signal), /no answer from/);
    api.start();
  }));
