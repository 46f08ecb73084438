import assert from "node:assert/strict";
import { withApi } from "../../tests/support/api_connection.ts";
import { KubeDutyApi } from "./duty_api.ts";
import { KubeDutyLease } from "./duty_lease.ts";

const signal = new AbortController().signal;

interface Asked {
  readonly line: string;
  readonly body: unknown;
  readonly accept: string | null;
}

type Answers = Readonly<Record<string, unknown>>;

/** Runs with an API server that has these answers, by `METHOD path?query`; numbers are failures. */
function withAnswers(
  answers: Answers,
  body: (bench: { api: KubeDutyApi; lease: KubeDutyLease; asked: Asked[] }) => Promise<void>,
) {
  return withApi(async ({ api, connection }) => {
    const asked: Asked[] = [];
    api.fault = async (request) => {
      const url = new URL(request.url);
      const line = `${request.method} ${decodeURIComponent(url.pathname)}${url.search}`;
      const text = await request.text();
      const given = text === "" ? undefined : JSON.parse(text);
      asked.push({ line, body: given, accept: request.headers.get("Accept") });
      const answer = answers[line];
      if (answer === undefined) {
        const name = url.pathname.split("/").at(-1);
        return Response.json({ kind: "Status", message: `things "${name}" not found` }, {
          status: 404,
        });
      }
      if (typeof answer !== "number") return Response.json(answer);
      return Response.json({ kind: "Status", message: "no" }, { status: answer });
    };
    const lease = new KubeDutyLease(connection, { namespace: "kube-system", name: "duties" });
    await body({ api: new KubeDutyApi(connection), lease, asked });
  });
}

const POD = { namespace: "shop", name: "db-0", uid: "pod-uid" };
const CLAIM = { namespace: "shop", name: "db", uid: "claim-uid" };
const POD_LINE = "GET /api/v1/namespaces/shop/pods/db-0";
const CLAIM_LINE = "GET /apis/resource.k8s.io/v1/namespaces/shop/resourceclaims/db";

Deno.test("nodes() reads all pages, and of each Node only who it is", () =>
  withAnswers({
    "GET /api/v1/nodes?limit=500": {
      metadata: { continue: "next" },
      items: [{ metadata: { name: "a" } }],
    },
    "GET /api/v1/nodes?limit=500&continue=next": {
      metadata: {},
      items: [{ metadata: { name: "b" } }],
    },
  }, async ({ api, asked }) => {
    assert.deepEqual([...await api.nodes(signal)], ["a", "b"]);
    assert.match(asked[0]!.accept!, /PartialObjectMetadataList/);
  }));

Deno.test("hasPod() and isReserved() go by UIDs", () =>
  withAnswers({
    [POD_LINE]: { metadata: { name: "db-0", uid: "pod-uid" } },
    [CLAIM_LINE]: {
      metadata: { name: "db", uid: "claim-uid" },
      status: { reservedFor: [{ resource: "pods", name: "db-0", uid: "pod-uid" }] },
    },
  }, async ({ api }) => {
    assert.equal(await api.hasPod(POD, signal), true);
    assert.equal(await api.hasPod({ ...POD, uid: "another" }, signal), false);
    assert.equal(await api.hasPod({ ...POD, name: "gone" }, signal), false);
    assert.equal(await api.isReserved(CLAIM, { pod: POD, signal }), true);
    const other = { ...POD, uid: "another" };
    assert.equal(await api.isReserved(CLAIM, { pod: other, signal }), false);
    const recreated = { ...CLAIM, uid: "another" };
    assert.equal(await api.isReserved(recreated, { pod: POD, signal }), false);
  }));

Deno.test("what cannot be told is not taken for gone", () =>
  withAnswers({ [POD_LINE]: 403, [CLAIM_LINE]: 500 }, async ({ api }) => {
    await assert.rejects(api.hasPod(POD, signal), /403/);
    await assert.rejects(api.isReserved(CLAIM, { pod: POD, signal }), /500/);
  }));

Deno.test("a path that the API server does not have is not taken for an object that is gone", () =>
  withApi(async ({ api, connection }) => {
    api.fault = () => new Response("404 page not found", { status: 404 });
    await assert.rejects(new KubeDutyApi(connection).hasPod(POD, signal), /404/);
  }));

Deno.test("remove() deletes only the address that was read", () => {
  const path = "/apis/dra.networking/v1alpha1/networkaddresses/";
  return withAnswers(
    { [`DELETE ${path}lan.a`]: {}, [`DELETE ${path}lan.b`]: 409 },
    async (bench) => {
      const { api, asked } = bench;
      const address = { uid: "u", resourceVersion: "7", node: "n", pod: POD, claim: CLAIM };
      assert.equal(await api.remove({ ...address, name: "lan.a" }, signal), true);
      assert.equal(await api.remove({ ...address, name: "lan.b" }, signal), false);
      assert.equal(await api.remove({ ...address, name: "lan.gone" }, signal), false);
      const { preconditions } = asked[0]!.body as { preconditions: unknown };
      assert.deepEqual(preconditions, { uid: "u", resourceVersion: "7" });
    },
  );
});

Deno.test("writeStatus() removes counts that a Network has no longer", () => {
  const line = "PATCH /apis/dra.networking/v1alpha1/networks/lan/status";
  return withAnswers({ [line]: {} }, async ({ api, asked }) => {
    const status = { observedGeneration: 1, conditions: [] };
    await api.writeStatus({ name: "lan", uid: "u" }, { status, signal });
    assert.deepEqual(asked[0]!.body, {
      metadata: { uid: "u" },
      status: { attachments: null, addresses: null, observedGeneration: 1, conditions: [] },
    });
  });
});

Deno.test("the Lease is created, written over what was read, and tells of conflicts", () => {
  const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
  const spec = {
    holderIdentity: "a",
    renewTime: "2026-01-01T00:00:00.000000Z",
    leaseDurationSeconds: 60,
    leaseTransitions: 3,
  };
  const stored = { metadata: { name: "duties", resourceVersion: "5" }, spec };
  const lease = { holder: "a", renewTime: spec.renewTime, duration: 60_000, transitions: 3 };
  return withAnswers({
    [`GET ${path}/duties?resourceVersion=0`]: stored,
    [`POST ${path}`]: 409,
    [`PUT ${path}/duties`]: stored,
  }, async ({ lease: api, asked }) => {
    const over = await api.read(signal);
    assert.deepEqual(over, { ...lease, resourceVersion: "5" });
    assert.equal(await api.write(lease, { over: undefined, signal }), "conflict");
    assert.deepEqual(await api.write(lease, { over, signal }), over);
    const { metadata, spec: written } = asked[2]!.body as typeof stored;
    assert.equal(metadata.resourceVersion, "5");
    assert.deepEqual(written, spec);
  });
});
