import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { withApi } from "../../tests/support/api_connection.ts";
import type { SimulatedApiServer } from "../simulator/api_server.ts";
import { ApiAccess } from "./api_access.ts";
import type { KubeConnection } from "./connection.ts";

interface Bench {
  readonly api: SimulatedApiServer;
  readonly connection: KubeConnection;
  readonly access: ApiAccess;
  /** Lets the time pass after which it asks again. */
  readonly clock: FakeClock;
  /** Resolves when it has had another answer, or none. */
  readonly next: () => Promise<void>;
}

function withAccess(status: number, body: (bench: Bench) => Promise<void>) {
  return withApi(async ({ api, connection }) => {
    if (status !== 200) answer(api, status);
    const [clock, end] = [new FakeClock(), new AbortController()];
    let changed = Promise.withResolvers<void>();
    const onChange = () => {
      changed.resolve();
      changed = Promise.withResolvers();
    };
    const access = new ApiAccess(connection, { clock, onChange });
    assert.match(access.lack()!.problem, /^no answer from http:\/\/127\.0\.0\.1:\d+ yet$/);
    assert.equal(access.lack()!.usualFor, 5_000);
    const first = changed.promise;
    const running = access.run(end.signal);
    try {
      await first;
      await body({ api, connection, access, clock, next: () => changed.promise });
    } finally {
      end.abort();
      await running;
    }
  });
}

function answer(api: SimulatedApiServer, status: number): void {
  api.fault = () => Response.json({ message: "said by the server" }, { status });
}

Deno.test("ApiAccess says what is wrong with the API server's answers, and asks again", () =>
  withAccess(500, async ({ api, access, clock, next }) => {
    const cases: [number, RegExp, RegExp][] = [
      [401, /does not accept the agent's credentials: said by the server$/, /renew/],
      [403, /forbids what the agent needs: said by the server$/, /ClusterRole/],
      [404, /does not serve resource\.k8s\.io\/v1$/, /Kubernetes 1\.34/],
      [503, /answers with status 503: said by the server$/, /log/],
    ];
    for (const [status, problem, whatToDo] of cases) {
      answer(api, status);
      const found = next();
      await clock.advance(10_000);
      await found;
      assert.match(access.lack()!.problem, problem);
      assert.match(access.lack()!.whatToDo, whatToDo);
    }
    api.fault = () => undefined;
    const found = next();
    await clock.advance(10_000);
    await found;
    assert.equal(access.lack(), undefined);
  }));

Deno.test("ApiAccess asks once while all is well, and again when a request has no answer", () =>
  withAccess(200, async ({ api, connection, access, clock, next }) => {
    assert.equal(access.lack(), undefined);
    let asked = 0;
    api.fault = () => void asked++;
    await clock.advance(600_000);
    assert.equal(asked, 0);
    await api.stop();
    const found = next();
    const signal = AbortSignal.timeout(5_000);
    await assert.rejects(connection.request({ method: "GET", path: "/version", signal }));
    await found;
    assert.match(access.lack()!.problem, /^no answer from http:\/\/127\.0\.0\.1:\d+: ./);
    assert.match(access.lack()!.whatToDo, /--kubeconfig/);
  }));
