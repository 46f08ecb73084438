/** What the agent's ServiceAccount may do, and what beyond that the API server refuses. */
import assert from "node:assert/strict";
import { type Api, ApiError, type Json, type Manifest } from "../api.ts";
import { NODE } from "../cluster.ts";
import { claim, DRIVER, pod } from "../objects.ts";
import type { Case, Space } from "../space.ts";

const OTHER_NODE = "node-2";
export const RESOURCE = "/apis/resource.k8s.io/v1";

/** Tries to write the status of a claim's first device. */
export async function writeStatus(api: Api, found: Json, more: Json = {}): Promise<void> {
  const { namespace, name } = found.metadata;
  const [{ driver, pool, device, shareID }] = found.status.allocation.devices.results;
  const entry = { driver, pool, device, shareID, data: { written: "by another" } };
  await applyStatus(api, { namespace, name }, { devices: [entry], ...more });
}

async function applyStatus(
  api: Api,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  status: unknown,
): Promise<void> {
  const path = `${RESOURCE}/namespaces/${namespace}/resourceclaims/${name}/status`;
  await api.request("PATCH", `${path}?fieldManager=another&force=true`, {
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: { name, namespace },
    status,
  }, "application/apply-patch+yaml");
}

export function sliceWith(spec: unknown): Manifest {
  const metadata = { name: "another" };
  return { apiVersion: "resource.k8s.io/v1", kind: "ResourceSlice", metadata, spec };
}

/** Does something as the agent on a second node, which is there meanwhile. */
async function asOtherNode({ cluster }: Space, body: (other: Api) => Promise<void>) {
  await cluster.api.apply({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: OTHER_NODE },
    spec: { unschedulable: true },
  });
  const other = await cluster.apiAsAgentOn(OTHER_NODE);
  try {
    await body(other);
  } finally {
    other.close();
    await cluster.api.delete({ kind: "Node", name: OTHER_NODE });
  }
}

async function asAgent({ cluster }: Space, body: (agent: Api) => Promise<void>) {
  const agent = await cluster.apiAsAgentOn(NODE);
  try {
    await body(agent);
  } finally {
    agent.close();
  }
}

/** An event as the agent writes it, or with something else in it. */
function event(space: Space, more: Json = {}): Json {
  const { namespace } = space;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `e-${crypto.randomUUID()}`, namespace },
    involvedObject: { apiVersion: "v1", kind: "Pod", namespace, name: "one" },
    reason: "NetworkAttachFailed",
    message: "written by a test",
    type: "Warning",
    source: { component: DRIVER, host: NODE },
    reportingComponent: DRIVER,
    reportingInstance: NODE,
    ...more,
  };
}

/** Each is answered with 403, or 422 where a field is what is forbidden, and the message where one is named. */
export async function refuses(
  attempts: Readonly<Record<string, readonly [() => Promise<unknown>, RegExp?]>>,
): Promise<void> {
  const wrong: string[] = [];
  for (const [name, [attempt, says = /is forbidden/]] of Object.entries(attempts)) {
    try {
      await attempt();
      wrong.push(`${name}: it was let through`);
    } catch (error) {
      const refused = error instanceof ApiError && [403, 422].includes(error.status) &&
        says.test(error.message);
      if (!refused) wrong.push(`${name}: ${error}`);
    }
  }
  assert.deepEqual(wrong, []);
}

export const RIGHTS: Readonly<Record<string, Case>> = {
  "a claim's status can be written by its own node's agent only": async (space) => {
    await space.apply(claim("lan", [{ name: "lan", subnet: 1 }]), pod("one", { claims: ["lan"] }));
    const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
    await asOtherNode(space, async (other) => {
      await assert.rejects(
        writeStatus(other, found),
        /changing status\.devices requires .*arbitrary-node:patch/,
      );
    });
  },

  "a status goes only to the version of a claim that it is applied for": async (space) => {
    const lan = claim("lan", [{ name: "lan", subnet: 1 }]);
    await space.apply(lan);
    const { api } = space.cluster;
    const { namespace } = space;
    const path = `${RESOURCE}/namespaces/${namespace}/resourceclaims/lan/status`;
    const applyFor = ({ name, uid, resourceVersion }: Json) =>
      api.request("PATCH", `${path}?fieldManager=another&force=true`, {
        apiVersion: "resource.k8s.io/v1",
        kind: "ResourceClaim",
        metadata: { namespace, name, uid, resourceVersion },
        status: { devices: [] },
      }, "application/apply-patch+yaml");
    const { metadata: before } = await space.get("ResourceClaim", "lan");
    const changed = { ...lan, metadata: { ...lan.metadata, labels: { changed: "true" } } };
    await space.apply(changed);
    const { metadata: after } = await space.get("ResourceClaim", "lan");
    assert.notEqual(after.resourceVersion, before.resourceVersion);
    // The agent relies on it where it removes its entries of a claim that may be another node's.
    await assert.rejects(applyFor(before), (error) => {
      assert.ok(error instanceof ApiError && error.status === 409, String(error));
      return true;
    });
    await applyFor(after);
  },

  "a node's slices can be written by its own agent only": async (space) => {
    const [slice] = await space.cluster.slices();
    await asOtherNode(space, async (other) => {
      const refused = /the agent of node node-2 may not change slices of node/;
      const path = `${RESOURCE}/resourceslices/${slice.metadata.name}`;
      const merge = "application/merge-patch+json";
      await refuses({
        "delete": [
          () => other.delete({ kind: "ResourceSlice", name: slice.metadata.name }),
          refused,
        ],
        "create": [() => other.apply(sliceWith(slice.spec)), refused],
        "update": [() => other.request("PATCH", path, { spec: { devices: [] } }, merge), refused],
      });
      const pool = { ...slice.spec.pool, name: OTHER_NODE };
      await other.apply(sliceWith({ ...slice.spec, nodeName: OTHER_NODE, pool }));
      // Nor can it give its own slice to another node.
      const own = `${RESOURCE}/resourceslices/another`;
      await assert.rejects(
        other.request("PATCH", own, { spec: { nodeName: NODE } }, merge),
        /may not change slices|immutable/,
      );
      await other.delete({ kind: "ResourceSlice", name: "another" });
    });
  },

  "the agent may do all that it needs": (space) =>
    asAgent(space, async (agent) => {
      const { namespace } = space;
      await space.apply(
        claim("lan", [{ name: "lan", subnet: 1 }]),
        pod("one", { claims: ["lan"] }),
      );
      const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
      const { name } = found.metadata;
      assert.ok(await agent.get({ kind: "Node", name: NODE }));
      assert.ok(await agent.get({ kind: "Pod", name: "one", namespace }));
      assert.ok(await agent.get({ kind: "ResourceClaim", name, namespace }));
      assert.ok((await agent.list({ kind: "ResourceSlice" })).length > 0);
      // Which nodes are gone, and who uses a Network that is deleted (networks.objects).
      assert.ok((await agent.list({ kind: "Node" })).length > 0);
      assert.ok((await agent.list({ kind: "ResourceClaim", namespace })).length > 0);
      // The agent writes the entry itself; the same right is tried with what stands there.
      const { devices } = found.status;
      await applyStatus(agent, { namespace, name }, { devices });
      const [slice] = await space.cluster.slices();
      const { resourceVersion: _, ...metadata } = slice.metadata;
      await agent.request(
        "PATCH",
        `${RESOURCE}/resourceslices/${metadata.name}?dryRun=All`,
        { spec: slice.spec },
        "application/merge-patch+json",
      );
      const spec = { ...slice.spec, pool: { ...slice.spec.pool, name: "trial" } };
      await agent.apply(sliceWith(spec));
      await agent.delete({ kind: "ResourceSlice", name: "another" });
      const events = `/api/v1/namespaces/${namespace}/events`;
      const written = await agent.request("POST", events, event(space));
      const one = `${events}/${written.metadata.name}`;
      await agent.request("PATCH", one, { count: 2 }, "application/merge-patch+json");
    }),

  "the agent may do nothing beyond that": (space) =>
    asAgent(space, async (agent) => {
      const { namespace, cluster } = space;
      await space.apply(
        claim("lan", [{ name: "lan", subnet: 1 }]),
        pod("one", { claims: ["lan"] }),
      );
      const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
      const { name } = found.metadata;
      const at = `${RESOURCE}/namespaces/${namespace}/resourceclaims/${name}`;
      const core = `/api/v1/namespaces/${namespace}`;
      const merge = "application/merge-patch+json";
      const get = (path: string) => () => agent.request("GET", path);
      const patch = (path: string, body: unknown) => () =>
        agent.request("PATCH", path, body, merge);
      const post = (path: string, body: unknown) => () => agent.request("POST", path, body);
      const remove = (path: string) => () => agent.request("DELETE", path);
      const [slice] = await cluster.slices();
      const otherDriver = { ...slice.spec, driver: "other.example" };
      const rbac = "/apis/rbac.authorization.k8s.io/v1";
      const account = "/api/v1/namespaces/kube-system/serviceaccounts/network-dra";
      const foreign = event(space, { reportingComponent: "kubelet" });
      const theirs = await cluster.api.request("POST", `${core}/events`, foreign);
      const own = /the agent may write its own events only, in the name of its node/;
      await refuses({
        "list pods": [get("/api/v1/pods")],
        "list a namespace's pods": [get(`${core}/pods`)],
        "read a pod's log": [get(`${core}/pods/one/log`)],
        "change a pod": [patch(`${core}/pods/one`, { metadata: { labels: { a: "b" } } })],
        "run in a pod": [post(`${core}/pods/one/exec?command=id`, undefined)],
        "make a pod": [post(`${core}/pods`, { apiVersion: "v1", kind: "Pod" })],
        "list secrets": [get("/api/v1/secrets")],
        "read a secret": [get(`/api/v1/namespaces/kube-system/secrets/any`)],
        "list configmaps": [get("/api/v1/configmaps")],
        "get another token": [post(`${account}/token`, {})],
        "change its node": [patch(`/api/v1/nodes/${NODE}`, { metadata: { labels: { a: "b" } } })],
        "change its node's status": [patch(`/api/v1/nodes/${NODE}/status`, { status: {} })],
        "delete its node": [remove(`/api/v1/nodes/${NODE}`)],
        "make a claim": [post(`${RESOURCE}/namespaces/${namespace}/resourceclaims`, {})],
        "change a claim's labels": [patch(at, { metadata: { labels: { a: "b" } } })],
        "change a claim's spec": [patch(at, { spec: { devices: {} } })],
        "delete a claim": [remove(at)],
        "list templates": [get(`${RESOURCE}/resourceclaimtemplates`)],
        "read a device class": [get(`${RESOURCE}/deviceclasses/network-interface`)],
        "change a device class": [
          patch(`${RESOURCE}/deviceclasses/network-interface`, { spec: {} }),
        ],
        "publish as another driver": [
          () => agent.apply(sliceWith(otherDriver)),
          /may not change slices of the driver other\.example/,
        ],
        "publish for another node": [
          () => agent.apply(sliceWith({ ...slice.spec, nodeName: OTHER_NODE })),
          /may not change slices of node \\"node-2\\"/,
        ],
        "change who uses a claim": [
          patch(`${at}/status`, { status: { reservedFor: [] } }),
          /Forbidden: .* requires resource=.*resourceclaims\/binding/,
        ],
        "deallocate a claim": [
          patch(`${at}/status`, { status: { allocation: null, reservedFor: [] } }),
          /Forbidden: .* requires resource=.*resourceclaims\/binding/,
        ],
        "list events": [get("/api/v1/events")],
        "read an event": [get(`${core}/events/${theirs.metadata.name}`)],
        "delete an event": [remove(`${core}/events/${theirs.metadata.name}`)],
        "change another's event": [
          patch(`${core}/events/${theirs.metadata.name}`, { message: "not theirs" }),
          own,
        ],
        "write an event as another component": [post(`${core}/events`, foreign), own],
        "write an event as another node": [
          post(`${core}/events`, event(space, { reportingInstance: OTHER_NODE })),
          own,
        ],
        "write an event about something else": [
          post(`${core}/events`, event(space, { involvedObject: { kind: "Secret", namespace } })),
          /about pods and claims only/,
        ],
        "give itself rights": [
          patch(`${rbac}/clusterroles/network-dra`, { rules: [] }),
        ],
        "turn its policy off": [
          remove("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/network-dra"),
        ],
      });
    }),

  "another driver's entries of a claim's status are its own": (space) =>
    asAgent(space, async (agent) => {
      const { namespace, cluster } = space;
      await space.apply(
        claim("lan", [{ name: "lan", subnet: 1 }]),
        pod("one", { claims: ["lan"] }),
      );
      const { claim: found } = await space.assertNetwork(await space.running("one"), { subnet: 1 });
      // Of a claim that was allocated a device of another driver, as its scheduler would leave it.
      const name = "others";
      await space.apply(claim(name, [{ name: "lan", subnet: 2 }]));
      const path = `${RESOURCE}/namespaces/${namespace}/resourceclaims/${name}/status`;
      const current = await cluster.api.get({ kind: "ResourceClaim", name, namespace });
      const [result] = found.status.allocation.devices.results;
      const { shareID: _, consumedCapacity: __, ...plain } = result;
      const allocation = {
        ...found.status.allocation,
        devices: { results: [{ ...plain, driver: "other.example", device: "theirs" }] },
      };
      const status = { ...current.status, allocation };
      await cluster.api.request("PATCH", path, { status }, "application/merge-patch+json");
      const device = { driver: "other.example", pool: plain.pool, device: "theirs" };
      await assert.rejects(
        applyStatus(agent, { namespace, name }, { devices: [{ ...device, data: {} }] }),
        /resourceclaims\/driver.*other\.example|other\.example.*resourceclaims\/driver|forbidden/,
      );
      const after = await cluster.api.get({ kind: "ResourceClaim", name, namespace });
      assert.equal(after.status.devices, undefined);
      await cluster.api.request(
        "PATCH",
        path,
        { status: { allocation: null } },
        "application/merge-patch+json",
      );
    }),
};
