import assert from "node:assert/strict";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { rawCluster } from "../../tests/support/cluster_objects.ts";
import { withUserConnection } from "../../tests/support/user_connection.ts";
import { ReadError } from "../cluster/ports.ts";
import { KubeDoctorApi } from "./doctor_api.ts";

function on(body: (api: KubeDoctorApi, server: ClusterApi) => Promise<void>): Promise<void> {
  return withClusterApi(
    rawCluster(),
    (server) =>
      withUserConnection(server, (connection) => body(new KubeDoctorApi(connection), server), {
        timeout: 300,
      }),
  );
}

const signal = () => new AbortController().signal;

Deno.test("KubeDoctorApi gives answers, with the API server's time", () =>
  on(async (api, server) => {
    server.others = async (request) =>
      request.method === "POST"
        ? Response.json({ status: await request.json() })
        : request.url.endsWith("/metrics")
        ? new Response("a 1\n")
        : Response.json({ gitVersion: "v1.36.2" }, {
          headers: { Date: "Mon, 30 Nov 2026 10:00:00 GMT" },
        });
    assert.deepEqual(await api.get("/version", signal()), {
      body: { gitVersion: "v1.36.2" },
      date: new Date("2026-11-30T10:00:00Z"),
    });
    assert.equal(await api.text("/metrics", signal()), "a 1\n");
    assert.deepEqual(await api.review("/apis/x/reviews", { spec: 1 }, signal()), {
      status: { spec: 1 },
    });
  }));

Deno.test("KubeDoctorApi says why it has no answer", () =>
  on(async (api, server) => {
    const refused = (asked: Promise<unknown>, reason: ReadError["reason"], says: RegExp) =>
      assert.rejects(asked, (error) => {
        assert.ok(error instanceof ReadError);
        assert.equal(error.reason, reason);
        assert.match(error.message, says);
        return true;
      });
    const answer = (status: number) => {
      server.fault = () => Response.json({ message: "so it is" }, { status });
    };
    answer(403);
    await refused(
      api.get("/version?x=1", signal()),
      "forbidden",
      /no right to read \/version \(so/,
    );
    const review = api.review("/apis/a/v1/subjectaccessreviews", {}, signal());
    await refused(review, "forbidden", /no right to create subjectaccessreviews/);
    answer(401);
    await refused(
      api.text("/metrics", signal()),
      "unauthorized",
      /does not accept the credentials/,
    );
    answer(404);
    await refused(
      api.get("/version", signal()),
      "not-served",
      /does not serve \/version: so it is/,
    );
    answer(418);
    await refused(api.get("/version", signal()), "failed", /cannot read \/version: .*418/);
    const late = Promise.withResolvers<Response>();
    server.fault = () => late.promise;
    await refused(api.get("/version", signal()), "unanswered", /no answer from http/);
    late.resolve(Response.json({}));
  }));

Deno.test("KubeDoctorApi refuses an answer that is not an object", () =>
  on(async (api, server) => {
    for (const answer of ["null", "[]", '"x"']) {
      server.others = () => Promise.resolve(new Response(answer));
      for (
        const asked of [api.get("/apis", signal()), api.review("/apis/x/reviews", {}, signal())]
      ) {
        await assert.rejects(
          asked,
          /^ReadError: cannot read \/apis.*: the answer is not an object: is http/,
        );
      }
    }
  }));
