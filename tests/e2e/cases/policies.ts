/** What the chart's policies, and the webhook, make of requests on an API server that has no nodes. */
import assert from "node:assert/strict";
import { errorMessage } from "../../../mod/async/error_message.ts";
import { parseParameters } from "../../../mod/claim/parameters.ts";
import { macvlan } from "../../support/claims.ts";
import { PARAMETERS_CASES } from "../../support/parameters_cases.ts";
import { ApiError, type Json, type Manifest } from "../api.ts";
import { claim, claimTemplate, deviceClass, DRIVER } from "../objects.ts";
import type { PolicyPlane, ResourceVersion } from "../policy_plane.ts";
import { until } from "../poll.ts";
import { refuses } from "./rights.ts";
import { deniedBy } from "./webhook.ts";

type Case = (plane: PolicyPlane) => Promise<void>;

const RESOURCE = "/apis/resource.k8s.io";
const NETWORKS = "/apis/dra.networking/v1alpha1/networks";
const ADDRESSES = "/apis/dra.networking/v1alpha1/networkaddresses";
const MERGE = "application/merge-patch+json";
const NO_CONFIGURATION = { interface: "net1" };
const CONFIG = macvlan({ name: "lan", subnet: 61 });

const unique = (name: string) => `${name}-${crypto.randomUUID().slice(0, 8)}`;

/** Objects that have parameters: how one is made, and where its configurations are. */
const KINDS = {
  ResourceClaim: {
    plural: "resourceclaims",
    make: (name: string, parameters: unknown) =>
      claim(name, [{ name: "lan", subnet: 61, parameters }]),
    at: "spec.devices.config[0].opaque.parameters",
  },
  ResourceClaimTemplate: {
    plural: "resourceclaimtemplates",
    make: (name: string, parameters: unknown) =>
      claimTemplate(name, [{ name: "lan", subnet: 61, parameters }]),
    at: "spec.spec.devices.config[0].opaque.parameters",
  },
  DeviceClass: {
    plural: "deviceclasses",
    make: (name: string, parameters: unknown) => deviceClass({ name, parameters }),
    at: "spec.config[0].opaque.parameters",
  },
} as const;
type Kind = keyof typeof KINDS;
const KIND_NAMES = Object.keys(KINDS) as Kind[];

/** Bad objects that are there before the policies. */
export const BEFORE_POLICIES: readonly Manifest[] = KIND_NAMES.map((kind) => {
  const made = KINDS[kind].make("before", NO_CONFIGURATION);
  return kind === "DeviceClass"
    ? made
    : { ...made, metadata: { ...made.metadata, namespace: "judged" } };
});

const pathOf = (kind: Kind, version: ResourceVersion, namespace = "judged") =>
  kind === "DeviceClass"
    ? `${RESOURCE}/${version}/${KINDS[kind].plural}`
    : `${RESOURCE}/${version}/namespaces/${namespace}/${KINDS[kind].plural}`;

/** As v1beta1 writes requests: without `exactly`. */
function inVersion(manifest: Manifest, version: ResourceVersion): Manifest {
  const flat = (spec: Json): Json => ({
    devices: {
      ...spec.devices,
      requests: spec.devices.requests.map(({ exactly, ...rest }: Json) => ({
        ...rest,
        ...exactly,
      })),
    },
  });
  const apiVersion = `resource.k8s.io/${version}`;
  const { kind, spec } = manifest as Json;
  if (version !== "v1beta1" || kind === "DeviceClass") return { ...manifest, apiVersion };
  return { ...manifest, apiVersion, spec: spec.spec ? { spec: flat(spec.spec) } : flat(spec) };
}

/** What the API server says to the object; nothing is kept. undefined where it takes it. */
async function saidTo(
  { api }: PolicyPlane,
  kind: Kind,
  { parameters, version = "v1", namespace }: {
    readonly parameters: unknown;
    readonly version?: ResourceVersion;
    readonly namespace?: string;
  },
): Promise<string | undefined> {
  const object = inVersion(KINDS[kind].make(unique("case"), parameters), version);
  try {
    await api.request("POST", `${pathOf(kind, version, namespace)}?dryRun=All`, object);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

function agentSays(given: unknown, path: string): string {
  try {
    parseParameters(given, path);
    return "";
  } catch (error) {
    return errorMessage(error);
  }
}

/** Resolves when the API server judges by the policies for parameters. */
async function held(plane: PolicyPlane): Promise<void> {
  for (const kind of KIND_NAMES) {
    await until(
      `the policy for ${kind} holds`,
      () => saidTo(plane, kind, { parameters: NO_CONFIGURATION }),
    );
  }
}

const network = (name: string): Json => ({
  apiVersion: "dra.networking/v1alpha1",
  kind: "Network",
  metadata: { name },
  spec: { config: { cniVersion: "1.0.0", type: "macvlan" } },
});

function address(node: string, last: number): Json {
  const owner = { namespace: "default", name: "a", uid: crypto.randomUUID() };
  return {
    apiVersion: "dra.networking/v1alpha1",
    kind: "NetworkAddress",
    metadata: { name: `lan.10-38-0-${last}` },
    spec: {
      ...{ network: "lan", address: `10.38.0.${last}`, node, claim: owner, pod: owner },
      ...{ containerID: "sandbox", ifName: "net1" },
    },
  };
}

const slice = (nodeName: string, { name = `of-${nodeName}`, driver = DRIVER } = {}): Json => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceSlice",
  metadata: { name },
  spec: {
    ...{ driver, nodeName, devices: [{ name: "cni" }] },
    pool: { name: nodeName, generation: 1, resourceSliceCount: 1 },
  },
});

const event = (more: Json = {}): Json => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: unique("e"), namespace: "judged" },
  involvedObject: { apiVersion: "v1", kind: "Pod", namespace: "judged", name: "one" },
  ...{ reason: "NetworkAttachFailed", message: "written by a test", type: "Warning" },
  ...{ reportingComponent: DRIVER, reportingInstance: "node-1" },
  ...more,
});

export const POLICIES: Readonly<Record<string, Case>> = {
  "the API server takes the chart's policies, and no type in them is wrong": async (plane) => {
    const names = plane.policies.map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(names, [
      ...["network-dra", "network-dra-addresses", "network-dra-deviceclasses"],
      ...["network-dra-events", "network-dra-networks", "network-dra-resourceclaims"],
      "network-dra-resourceclaimtemplates",
    ]);
    for (const { kind, metadata: { name } } of plane.policies) {
      const { status } = await until(`the types of ${name} are checked`, async () => {
        const found = await plane.api.get({ kind, name });
        const { status, metadata } = found;
        return status?.observedGeneration === metadata.generation && status?.typeChecking
          ? found
          : undefined;
      });
      assert.deepEqual(status.typeChecking.expressionWarnings ?? [], [], name);
    }
  },

  "the policies for parameters refuse what the agent refuses, in its words, in each version of the API":
    async (plane) => {
      await held(plane);
      console.log(`      resource.k8s.io: ${plane.versions.join(", ")}`);
      assert.ok(plane.versions.includes("v1"));
      let judged = 0;
      for (const kind of KIND_NAMES) {
        for (const [what, { given, cel }] of Object.entries(PARAMETERS_CASES)) {
          const said = await saidTo(plane, kind, { parameters: given });
          assert.equal(said !== undefined, cel === "refuses", `${kind}: ${what}: ${said}`);
          judged++;
          if (said === undefined) continue;
          const agent = agentSays(given, KINDS[kind].at);
          assert.ok(agent.startsWith(deniedBy(said)), `${kind}: ${what}:\n${said}\n${agent}`);
        }
        for (const version of plane.versions) {
          const said = await saidTo(plane, kind, { parameters: NO_CONFIGURATION, version });
          assert.match(said ?? `${version}: taken`, /\.config: is missing: it holds the CNI/);
          const good = { parameters: { config: CONFIG }, version };
          assert.equal(await saidTo(plane, kind, good), undefined, `${kind} ${version}`);
        }
        if (kind === "DeviceClass") continue;
        const free = { parameters: NO_CONFIGURATION, namespace: "free" };
        assert.equal(await saidTo(plane, kind, free), undefined, "another namespace");
      }
      console.log(`      ${judged} objects judged`);
    },

  "the policies let through as many configurations, and as long ones, as Kubernetes takes": async (
    plane,
  ) => {
    await held(plane);
    const { api } = plane;
    const names = Array.from({ length: 32 }, (_, i) => `r${i}`);
    const [most] = [9_900];
    const object = (last: unknown): Json => {
      const made = claim(unique("big"), names.map((name) => ({ name, subnet: 61 }))) as Json;
      made.spec.devices.config = names.map((name, i) => ({
        requests: [name],
        opaque: {
          driver: DRIVER,
          parameters: i === 31 ? last : { config: { ...CONFIG, text: "x".repeat(most) } },
        },
      }));
      return made;
    };
    const path = `${pathOf("ResourceClaim", "v1")}?dryRun=All`;
    await api.request("POST", path, object({ config: CONFIG }));
    await assert.rejects(
      api.request("POST", path, object(NO_CONFIGURATION)),
      /spec\.devices\.config\[31\]\.opaque\.parameters\.config: is missing/,
    );
  },

  "bad objects from before the policies can be labelled, finalized, reserved and deleted": async (
    plane,
  ) => {
    await held(plane);
    const { api } = plane;
    for (const kind of KIND_NAMES) {
      const path = `${pathOf(kind, "v1")}/before`;
      const patch = (body: unknown, at = path) => api.request("PATCH", at, body, MERGE);
      await patch({ metadata: { labels: { seen: "yes" } } });
      await patch({ metadata: { finalizers: ["example.com/held"] } });
      if (kind === "ResourceClaim") {
        const device = { request: "lan", driver: DRIVER, pool: "node-1", device: "cni" };
        const status = { allocation: { devices: { results: [device] } } };
        await patch({ status }, `${path}/status`);
        await patch({ status: { allocation: null } }, `${path}/status`);
      }
      await api.request("DELETE", path);
      // It is on its way out, and goes when its finalizer does.
      await patch({ metadata: { finalizers: null } });
      await until(`${kind} before is gone`, async () => {
        const namespace = kind === "DeviceClass" ? undefined : "judged";
        return await api.get({ kind, name: "before", namespace }) === undefined || undefined;
      });
    }
  },

  "the policies for the agent: addresses, slices, events and Networks of its own node alone":
    async (
      plane,
    ) => {
      const { api } = plane;
      const [agent, other] = [
        await plane.apiAsAgentOn("node-1"),
        await plane.apiAsAgentOn("node-2"),
      ];
      const slices = `${RESOURCE}/v1/resourceslices`;
      const events = "/api/v1/namespaces/judged/events";
      try {
        // An API server takes a moment to judge by a policy that is new.
        const foreign = /may not take addresses for node \\"node-2\\"/;
        await until("the policies hold", async () => {
          const made = agent.request("POST", `${ADDRESSES}?dryRun=All`, address("node-2", 9));
          return await made.then(
            () => undefined,
            ({ message }) => foreign.test(message) || undefined,
          );
        });
        const mine = await agent.request("POST", ADDRESSES, address("node-1", 5));
        const own = `${ADDRESSES}/${mine.metadata.name}`;
        await agent.request("POST", slices, slice("node-1"));
        await agent.request("POST", events, event());
        await api.request("POST", NETWORKS, network("lan"));
        const change = (body: Json, by = agent) => () =>
          by.request("PUT", own, { ...mine, ...body });
        const spec = (more: Json) => ({ spec: { ...mine.spec, ...more } });
        const lan = `${NETWORKS}/lan`;
        const edit = (body: Json) => () => agent.request("PATCH", lan, body, MERGE);
        const post = (path: string, body: Json, by = agent) => () => by.request("POST", path, body);
        await refuses({
          "an address for another node": [post(ADDRESSES, address("node-2", 6)), foreign],
          "an address that another node has in use": [
            change(spec({ node: "node-2" }), other),
            /the address is in use on node \\"node-1\\"|cannot become another's/,
          ],
          "a slice of another node": [
            post(slices, slice("node-2", { name: "stolen" })),
            /may not change slices of node \\"node-2\\"/,
          ],
          "a slice of another driver": [
            post(slices, slice("node-1", { name: "foreign", driver: "other.example" })),
            /may not change slices of the driver other\.example/,
          ],
          "another's slice, deleted": [
            () => other.request("DELETE", `${slices}/of-node-1`),
            /the agent of node node-2 may not change slices of node \\"node-1\\"/,
          ],
          "an event in the name of another node": [
            post(events, event({ reportingInstance: "node-2" })),
            /in the name of its node/,
          ],
          "an event about a Secret": [
            post(events, event({ involvedObject: { kind: "Secret", namespace: "judged" } })),
            /about pods and claims only/,
          ],
          "a Network's configuration": [
            edit({ spec: { config: { type: "bridge" } } }),
            /the agent may change the finalizers of Networks only/,
          ],
          "a Network's labels": [
            edit({ metadata: { labels: { a: "b" } } }),
            /the agent may change the finalizers of Networks only/,
          ],
          "another's finalizer": [
            edit({ metadata: { finalizers: ["example.com/x"] } }),
            /the agent may change its own finalizer only/,
          ],
        });
        await edit({ metadata: { finalizers: ["dra.networking/in-use"] } })();
        await edit({ metadata: { finalizers: null } })();
        // Kept for a pod's name, it may be taken up on another node.
        const keptUntil = new Date(Date.now() + 600_000).toISOString();
        const kept = await change(spec({ keptUntil }))();
        const { keptUntil: _, ...taken } = { ...kept.spec, node: "node-2", containerID: "next" };
        await other.request("PUT", own, { ...kept, spec: taken });
        // Any agent frees those of nodes that are gone.
        await agent.request("DELETE", own);
        await agent.request("DELETE", `${slices}/of-node-1`);
        // The policies are for agents: an administrator does what it likes.
        await api.request("POST", ADDRESSES, address("node-2", 7));
        await api.request("PATCH", lan, { metadata: { labels: { a: "b" } } }, MERGE);
        await api.request("DELETE", lan);
      } finally {
        agent.close();
        other.close();
      }
    },
};
