import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { type NetworkAddress, toObject } from "../addresses/address_object.ts";
import type { AddressNews, AddressRequest } from "../addresses/ports.ts";
import { aborted } from "../async/aborted.ts";
import type { ObjectSource } from "../cluster/ports.ts";
import { KubeAddressApi } from "./address_api.ts";
import type { KubeConnection, Request } from "./connection.ts";
import { KubeError } from "./error.ts";

const never = new AbortController().signal;
const named = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });
const address: NetworkAddress = {
  network: "lan",
  address: "10.38.0.5",
  owner: { node: "a", claim: named("c"), pod: named("p"), containerID: "s1", ifName: "net1" },
};
const PATH = "/apis/dra.networking/v1alpha1/networkaddresses/lan.10-38-0-5";

function object(uid: string) {
  const { metadata, ...rest } = toObject(address);
  return { ...rest, metadata: { ...metadata, uid, resourceVersion: "7" } };
}

function failure(status: number | undefined, problem: string): KubeError {
  return new KubeError({ verb: "X", path: "/x", ...(status !== undefined && { status }), problem });
}

const EXISTS = failure(409, 'networkaddresses.dra.networking "lan.10-38-0-5" already exists');
const MISSING = failure(404, 'networkaddresses.dra.networking "lan.10-38-0-5" not found');

/** An API server that answers one request after the other. */
function bench(...answers: readonly unknown[]) {
  const asked: string[] = [];
  const bodies: unknown[] = [];
  const counted: AddressRequest[] = [];
  const left = [...answers];
  const request = ({ method, path, body }: Request) => {
    asked.push(`${method} ${path.split("/").at(-1)}`);
    bodies.push(body);
    const answer = left.shift();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const source: ObjectSource = {
    async *list(path) {
      asked.push(`list ${decodeURIComponent(path.split("?")[1]!)}`);
      yield await Promise.resolve({
        items: [object("u1"), { metadata: {} }],
        resourceVersion: "7",
      });
    },
    async *watch(_, { signal }) {
      yield { type: "begun" };
      yield { type: "deleted", object: object("u1") };
      await aborted(signal);
    },
  };
  const api = new KubeAddressApi({ request } as unknown as KubeConnection, {
    source,
    clock: new FakeClock(),
    metrics: { requested: (verb) => void counted.push(verb) },
  });
  return { api, asked, bodies, counted };
}

Deno.test("KubeAddressApi creates an object in one request that is small", async () => {
  const { api, asked, bodies, counted } = bench(object("u1"));
  assert.deepEqual(await api.create(address, { whose: true, signal: never }), {
    is: "created",
    address: { ...address, uid: "u1", resourceVersion: "7" },
  });
  assert.deepEqual(asked, ["POST networkaddresses"]);
  assert.deepEqual(counted, ["create"]);
  // Beyond 1,000 bytes, requests do not share the one HTTP/2 connection.
  assert.ok(JSON.stringify(bodies[0]).length < 600);
});

Deno.test("KubeAddressApi says whose the address is that it cannot create", async (t) => {
  await t.step("someone's", async () => {
    const { api } = bench(EXISTS, object("u2"));
    const created = await api.create(address, { whose: true, signal: never });
    assert.deepEqual(created, {
      is: "there",
      address: { ...address, uid: "u2", resourceVersion: "7" },
    });
  });
  await t.step("gone meanwhile", async () => {
    const { api, asked } = bench(EXISTS, MISSING, object("u3"));
    assert.equal((await api.create(address, { whose: true, signal: never })).is, "created");
    assert.equal(asked.length, 3);
  });
  await t.step("written by hand, and not to be read", async () => {
    const { api } = bench(EXISTS, { metadata: { name: "lan.10-38-0-5" } });
    assert.deepEqual(await api.create(address, { whose: true, signal: never }), {
      is: "there",
      address: undefined,
    });
  });
});

Deno.test("KubeAddressApi tells what was refused from what may have been done", async (t) => {
  const refused = [
    [failure(403, "forbidden"), /no right to create networkaddresses: give its user the rules/],
    [failure(404, "the server could not find the requested resource"), /does not have the kind/],
    [failure(422, "invalid"), /invalid/],
  ] as const;
  for (const [error, message] of refused) {
    await t.step(`${error.status}`, async () => {
      const { api } = bench(error);
      await assert.rejects(api.create(address, { whose: true, signal: never }), {
        message,
        outcome: "refused",
      });
    });
  }
  for (const error of [failure(undefined, "no answer"), failure(500, "x"), failure(409, "x")]) {
    await t.step(`${error.status}`, async () => {
      const { api } = bench(error);
      await assert.rejects(api.create(address, { whose: true, signal: never }), {
        outcome: "unknown",
      });
    });
  }
});

Deno.test("KubeAddressApi removes an object only as it was read", async (t) => {
  const stored = { ...address, uid: "u1", resourceVersion: "7" };
  await t.step("by its UID and resourceVersion", async () => {
    const { api, asked, bodies } = bench({});
    assert.equal(await api.remove(stored, never), "gone");
    assert.deepEqual(asked, [`DELETE ${PATH.split("/").at(-1)}`]);
    const { preconditions } = bodies[0] as { preconditions: unknown };
    assert.deepEqual(preconditions, { uid: "u1", resourceVersion: "7" });
  });
  await t.step("gone", async () => {
    assert.equal(await bench(MISSING).api.remove(stored, never), "gone");
  });
  // As kube-apiserver 1.34 writes it, before and while it deletes.
  const changed = [
    "the UID in the precondition (u1) does not match the UID in record (u2). The object might " +
    "have been deleted and then recreated",
    "the ResourceVersion in the precondition (7) does not match the ResourceVersion in record " +
    "(8). The object might have been modified",
    "Precondition failed: ResourceVersion in precondition: 7, ResourceVersion in object meta: 8",
  ];
  for (const problem of changed) {
    await t.step(problem, async () => {
      const said = `Operation cannot be fulfilled on networkaddresses "lan": ${problem}`;
      assert.equal(await bench(failure(409, said)).api.remove(stored, never), "changed");
    });
  }
  await t.step("a conflict of another kind is no success", async () => {
    const { api } = bench(failure(409, "the object has been modified"));
    await assert.rejects(api.remove(stored, never), { outcome: "unknown" });
  });
});

Deno.test("KubeAddressApi follows by one field, and passes over what it cannot read", async () => {
  const { api, asked, counted } = bench();
  const end = new AbortController();
  const news: AddressNews[] = [];
  for await (const each of api.follow({ by: "node", node: "a" }, end.signal)) {
    news.push(each);
    if (each.type === "deleted") end.abort();
  }
  assert.deepEqual(news.map(({ type }) => type), ["listing", "set", "listed", "deleted"]);
  assert.deepEqual(asked, ["list fieldSelector=spec.node=a"]);
  assert.deepEqual(counted, ["list", "watch"]);
});
