/** The webhook as the chart installs it: a Deployment from the image, on two nodes. */
import assert from "node:assert/strict";
import { macvlan } from "../../support/claims.ts";
import { agentOf } from "../agents/daemonset_agent.ts";
import type { Json, Manifest } from "../api.ts";
import { NAMESPACE, render, type Values } from "../chart.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { claim, claimTemplate, claimWith, deviceClass, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

const NAME = "network-dra-webhook";
const SECRET = "network-dra-webhook-tls";
const ON: Values = { webhook: { enabled: true } };
/** In milliseconds; the cores may be busy with other clusters. */
const ROLLOUT_LIMIT = 180_000;
/** A new certificate is served after a minute, and looked for every ten seconds. */
const CERTIFICATE_LIMIT = 240_000;
/** The chart's timeoutSeconds, in milliseconds. */
const TIMEOUT = 2_000;
const NETWORK_KIND = { apiVersion: "dra.networking/v1alpha1", kind: "Network" };

const of = (kind: string, name = NAME) => ({ kind, name, namespace: NAMESPACE });
const unique = (name: string) => `${name}-${crypto.randomUUID().slice(0, 8)}`;

/** Its pods that are not on their way out. */
async function replicas({ cluster }: Space): Promise<Json[]> {
  const selector = encodeURIComponent(`app.kubernetes.io/name=${NAME}`);
  const path = `/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${selector}`;
  const { items } = await cluster.api.request("GET", path);
  return items.filter(({ metadata }: Json) => !metadata.deletionTimestamp);
}

/** Resolves with the pods once the Deployment has rolled out. */
async function rolledOut(space: Space): Promise<Json[]> {
  const { api } = space.cluster;
  return await until("the webhook is rolled out", async () => {
    const { metadata, spec, status = {} } = await api.get(of("Deployment"));
    const pods = await replicas(space);
    const counts = [status.replicas, status.updatedReplicas, status.availableReplicas, pods.length];
    return status.observedGeneration === metadata.generation &&
        counts.every((count) => count === spec.replicas)
      ? pods
      : undefined;
  }, { limit: ROLLOUT_LIMIT, explain: () => explain(space) });
}

/** What helps to tell why it does not serve. */
async function explain(space: Space): Promise<string> {
  const pods = await replicas(space);
  const states = pods.map(({ metadata, spec, status }) =>
    `${metadata.name} on ${spec.nodeName}: ${JSON.stringify(status)}`
  );
  const logs = await Promise.all(
    pods.map(({ metadata }) =>
      space.cluster.kubectl("logs", "-n", NAMESPACE, metadata.name, "--tail=20")
        .catch((error) => `${error}`)
    ),
  );
  const events = (await space.cluster.api.list({ kind: "Event", namespace: NAMESPACE }))
    .filter(({ involvedObject }) => involvedObject.name.startsWith(NAME))
    .map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`);
  return [...states, ...logs, ...events].join("\n");
}

/** What `kubectl apply` of the object says; undefined where it takes it. */
async function refusal(space: Space, manifest: Manifest): Promise<string | undefined> {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  const isNamespaced = manifest.kind.startsWith("ResourceClaim");
  try {
    await Deno.writeTextFile(file, JSON.stringify(manifest));
    await space.cluster.kubectl(
      ...["apply", "-f", file],
      ...isNamespaced ? ["-n", space.namespace] : [],
    );
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    const [, said] = message.match(/admission webhook "\S+" denied the request: (.*)$/s) ?? [];
    if (said === undefined) throw error;
    return said.trim();
  } finally {
    await Deno.remove(file);
  }
}

/** Deletes what was taken. */
async function remove(space: Space, { kind, metadata: { name } }: Manifest): Promise<void> {
  const namespace = kind.startsWith("ResourceClaim") ? space.namespace : undefined;
  await space.cluster.api.delete({ kind, name, namespace });
}

const NO_CONFIGURATION = { interface: "net1" };
const badClaim = (name: string) =>
  claim(name, [{ name: "lan", subnet: 51, parameters: NO_CONFIGURATION }]);
const goodClaim = (name: string) => claim(name, [{ name: "lan", subnet: 52 }]);
const named = (name: string, networkName: string) =>
  claim(name, [{ name: "lan", subnet: 0, parameters: { ...NETWORK_KIND, networkName } }]);
const ofClass = (name: string, deviceClassName: string) =>
  claimWith(name, { devices: { requests: [{ name: "lan", exactly: { deviceClassName } }] } });

function network(name: string, ...subnets: string[]): Manifest {
  const pools = subnets.map((subnet) => ({ subnet }));
  const config = { cniVersion: "1.0.0", type: "macvlan", master: "eth0", mode: "bridge" };
  return { ...NETWORK_KIND, metadata: { name }, spec: { config, addresses: { pools } } };
}

/** Objects of each kind: a good one, and a bad one with what a pod is to use so that Prepare meets it. */
interface Kind {
  readonly bad: (name: string) => Manifest;
  readonly good: (name: string) => Manifest;
  /** A claim that uses the bad one; without, the pod names the bad one itself. */
  readonly user?: (name: string) => Manifest;
  readonly says: RegExp;
}

const parameters = { interface: "a".repeat(16), config: macvlan({ name: "lan", subnet: 53 }) };
const KINDS: Readonly<Record<string, Kind>> = {
  ResourceClaim: {
    bad: badClaim,
    good: goodClaim,
    says:
      /^spec\.devices\.config\[0\]\.opaque\.parameters\.config: is missing: it holds the CNI configuration$/,
  },
  ResourceClaimTemplate: {
    bad: (name) => claimTemplate(name, [{ name: "lan", subnet: 53, parameters }]),
    good: (name) => claimTemplate(name, [{ name: "lan", subnet: 53 }]),
    says:
      /^spec\.spec\.devices\.config\[0\]\.opaque\.parameters\.interface: the interface name "a{16}" has 16 bytes; it must have 1 to 15$/,
  },
  DeviceClass: {
    bad: (name) => deviceClass({ name, parameters: { config: { type: "macvlan" } } }),
    good: (name) =>
      deviceClass({ name, parameters: { config: macvlan({ name: "lan", subnet: 54 }) } }),
    user: (name) => ofClass("class", name),
    says:
      /^spec\.config\[0\]\.opaque\.parameters\.config\.name: must be a string that is not empty, not missing$/,
  },
  Network: {
    bad: (name) => network(name, "10.10.55.0/24", "10.10.55.128/25"),
    good: (name) => network(name, "10.10.55.0/24"),
    user: (name) => named("network", name),
    says:
      /^spec\.addresses\.pools\[1\]\.subnet: 10\.10\.55\.128\/25 overlaps with 10\.10\.55\.0\/24: give each address to one pool$/,
  },
};

/** What Prepare says of each bad object, which is there before the webhook. */
async function preparesWords(space: Space): Promise<Map<string, string[]>> {
  const pods: [string, Manifest][] = [];
  for (const [kind, { bad, user }] of Object.entries(KINDS)) {
    const object = bad(`before-${kind.toLowerCase()}`);
    const { name } = object.metadata;
    const use = user?.(name);
    await space.apply(object, ...use ? [use] : []);
    const uses = kind === "ResourceClaimTemplate"
      ? { templates: [name] }
      : { claims: [(use ?? object).metadata.name] };
    pods.push([kind, pod(kind.toLowerCase(), uses)]);
  }
  await space.apply(...pods.map(([, each]) => each));
  const found = new Map<string, string[]>();
  for (const [kind, { metadata: { name } }] of pods) {
    const events = await until(`the agent refuses the ${kind}`, async () => {
      const events = await space.events(name);
      return events.some((each) => each.includes("network-dra") || /prepar/i.test(each))
        ? events
        : undefined;
    }, { limit: 120_000, explain: async () => (await space.events(name)).join("\n") });
    found.set(kind, events);
    await space.delete("Pod", name, { graceSeconds: 0 });
  }
  return found;
}

/** Resolves when API servers ask the webhook: a bad claim is refused. */
async function asked(space: Space): Promise<void> {
  await until("the webhook is asked", async () => {
    const bad = badClaim(unique("early"));
    const said = await refusal(space, bad);
    if (said === undefined) await remove(space, bad);
    return said;
  }, { limit: ROLLOUT_LIMIT, explain: () => explain(space) });
}

/** Runs with the chart's webhook; it is uninstalled afterwards, and nothing of it may be left. */
async function withWebhook(space: Space, body: (pods: Json[]) => Promise<void>): Promise<void> {
  const agent = agentOf(space.cluster);
  await agent.install(ON);
  try {
    const pods = await rolledOut(space);
    await asked(space);
    await body(pods);
  } finally {
    await agent.install();
  }
  await assertGone(space);
}

async function assertGone(space: Space): Promise<void> {
  const { api } = space.cluster;
  const objects = (await render(ON)).filter(({ metadata }) => metadata.name.startsWith(NAME));
  assert.ok(objects.length >= 9, `${objects.length}`);
  const further = ["ReplicaSet", "Pod", "EndpointSlice", "Lease", "ConfigMap", "Secret"];
  let left: string[] = [];
  await until("nothing of the webhook is left", async () => {
    const own = await Promise.all(
      objects.map(async ({ kind, metadata: { name, namespace } }) =>
        await api.get({ kind, name, namespace }) ? [`${kind} ${name}`] : []
      ),
    );
    const others = await Promise.all(
      further.map(async (kind) =>
        (await api.list({ kind, namespace: NAMESPACE }))
          .filter(({ metadata }) => metadata.name.startsWith(NAME))
          .map(({ metadata }) => `${kind} ${metadata.name}`)
      ),
    );
    left = [...own, ...others].flat();
    return left.length === 0 || undefined;
  }, { explain: () => Promise.resolve(left.join("\n")) });
  const bad = badClaim(unique("after"));
  assert.equal(await refusal(space, bad), undefined, "it is still asked");
  await remove(space, bad);
}

/** Applies good and bad claims until `ended`; none may be judged wrongly. Gives how many it applied. */
async function whileAsked(
  space: Space,
  ended: () => Promise<boolean>,
  { what, limit }: { readonly what: string; readonly limit: number },
): Promise<number> {
  const end = Date.now() + limit;
  for (let count = 0;; count += 2) {
    if (count > 0 && await ended()) return count;
    assert.ok(Date.now() < end, `not within ${limit / 1000} s: ${what}\n${await explain(space)}`);
    const [good, bad] = [goodClaim(unique("good")), badClaim(unique("bad"))];
    assert.equal(await refusal(space, good), undefined, what);
    await remove(space, good);
    const said = await refusal(space, bad);
    assert.match(said ?? `a bad claim is taken: ${what}`, KINDS.ResourceClaim!.says);
  }
}

/** The container of a pod of the webhook gets a signal, on whichever node it is. */
async function signal(space: Space, { spec, status }: Json, name: Deno.Signal): Promise<void> {
  const node = space.cluster.nodes.find(({ name }) => name === spec.nodeName)!;
  await node.kill(status.containerStatuses[0].containerID.split("//")[1], name);
}

export const WEBHOOK_DEPLOYMENT: Readonly<Record<string, Case>> = {
  "the chart's webhook: kubectl apply refuses each kind at once, in the words of Prepare": async (
    space,
  ) => {
    const { api } = space.cluster;
    const before = await preparesWords(space);
    await withWebhook(space, async (pods) => {
      assert.deepEqual(pods.map(({ spec }) => spec.nodeName).sort(), [NODE, SECOND_NODE]);
      const { data } = await api.get(of("Secret", SECRET));
      assert.deepEqual(Object.keys(data).sort(), ["ca.crt", "tls.crt", "tls.key"]);
      const configuration = { kind: "ValidatingWebhookConfiguration", name: NAME };
      const { webhooks } = await api.get(configuration);
      assert.equal(webhooks.length, Object.keys(KINDS).length);
      for (const { clientConfig, failurePolicy } of webhooks) {
        assert.equal(failurePolicy, "Ignore");
        assert.equal(atob(clientConfig.caBundle), atob(data["ca.crt"]));
      }
      await until("one of its pods may be evicted", async () => {
        const { status } = await api.get(of("PodDisruptionBudget"));
        return status?.disruptionsAllowed === 1 || undefined;
      });
      for (const [kind, { bad, good, says }] of Object.entries(KINDS)) {
        const began = Date.now();
        const said = await refusal(space, bad(unique("bad"))) ?? `the bad ${kind} is taken`;
        console.log(`      ${kind}: ${said} (kubectl took ${Date.now() - began} ms)`);
        assert.match(said, says);
        const problem = said.slice(said.indexOf(": ") + 2);
        const events = before.get(kind)!;
        assert.ok(events.some((each) => each.includes(problem)), [problem, ...events].join("\n"));
        const right = good(unique("good"));
        assert.equal(await refusal(space, right), undefined, kind);
        await remove(space, right);
        // What is there already, and bad, can be labelled and gets and loses finalizers.
        const old = bad(`before-${kind.toLowerCase()}`);
        const { metadata } = old;
        for (const finalizers of [["example.com/held"], []]) {
          const labels = { seen: `${finalizers.length}` };
          await space.apply({ ...old, metadata: { ...metadata, labels, finalizers } as Json });
        }
        await remove(space, old);
      }
      await space.apply(goodClaim("good"), pod("runs", { claims: ["good"] }));
      await space.assertNetwork(await space.running("runs"), { subnet: 52 });
    });
  },

  "the chart's webhook: both replicas hang or die, and objects are taken until they are back":
    async (space) => {
      const { cluster } = space;
      const { api } = cluster;
      await withWebhook(space, async (pods) => {
        for (const each of pods) await signal(space, each, "SIGSTOP");
        try {
          const [began, bad] = [Date.now(), badClaim(unique("hangs"))];
          assert.equal(await refusal(space, bad), undefined);
          const took = Date.now() - began;
          console.log(`      both hang: taken after ${took} ms`);
          assert.ok(took >= TIMEOUT && took < 5 * TIMEOUT, `${took} ms`);
          await remove(space, bad);
        } finally {
          for (const each of pods) await signal(space, each, "SIGCONT");
        }
        await asked(space);
        // The Deployment replaces them at once, unless it is to have none.
        const scale = (count: number) =>
          cluster.kubectl("scale", `deployment/${NAME}`, "-n", NAMESPACE, `--replicas=${count}`);
        const died = await rolledOut(space);
        await scale(0);
        for (const { metadata: { name } } of died) {
          await api.delete({ kind: "Pod", name, namespace: NAMESPACE }, { graceSeconds: 0 });
        }
        // Their containers answer until the kubelets have killed them.
        const bad = await until("a bad claim is taken", async () => {
          const bad = badClaim(unique("dead"));
          const said = await refusal(space, bad);
          if (said === undefined) return bad;
          assert.match(said, KINDS.ResourceClaim!.says);
          return undefined;
        });
        // Prepare says what the webhook could not.
        await space.apply(pod("waits", { claims: [bad.metadata.name] }));
        await space.assertEvent("waits", /\.config: is missing: it holds the CNI configuration/);
        await space.delete("Pod", "waits", { graceSeconds: 0 });
        await remove(space, bad);
        await scale(died.length);
        await rolledOut(space);
        await asked(space);
      });
    },

  "the chart's webhook: its certificate changes and the chart is upgraded while claims are judged":
    async (space) => {
      const { cluster } = space;
      const { api } = cluster;
      const agent = agentOf(cluster);
      await withWebhook(space, async (pods) => {
        const { data: first } = await api.get(of("Secret", SECRET));
        const patch = ["patch", "secret", SECRET, "-n", NAMESPACE, "--patch", '{"data":null}'];
        await cluster.kubectl(...patch);
        const served = async () => {
          const logs = await Promise.all(
            pods.map(({ metadata: { name } }) => cluster.kubectl("logs", "-n", NAMESPACE, name)),
          );
          return logs.every((log) => log.split("admission reviews are served").length - 1 === 2);
        };
        const changed = await whileAsked(space, served, {
          what: "both replicas serve with the new certificate",
          limit: CERTIFICATE_LIMIT,
        });
        const { data: next } = await api.get(of("Secret", SECRET));
        assert.notEqual(next["tls.crt"], first["tls.crt"]);
        const old = new Set(pods.map(({ metadata }) => metadata.uid));
        const resources = { requests: { cpu: "21m", memory: "96Mi" } };
        await agent.install({ webhook: { enabled: true, resources } });
        const replaced = async () => {
          const now = await replicas(space);
          return now.length === 2 &&
            now.every(({ metadata, status }) =>
              !old.has(metadata.uid) && status.containerStatuses?.[0].ready
            );
        };
        const upgraded = await whileAsked(space, replaced, {
          what: "both replicas are replaced",
          limit: ROLLOUT_LIMIT,
        });
        await rolledOut(space);
        const after = await whileAsked(space, () => Promise.resolve(true), {
          what: "after the upgrade",
          limit: ROLLOUT_LIMIT,
        });
        const { data: kept } = await api.get(of("Secret", SECRET));
        assert.equal(kept["tls.crt"], next["tls.crt"], "the upgrade keeps the certificate");
        console.log(
          `      claims, good and bad: ${changed} while the certificate changed, ` +
            `${upgraded + after} while the chart was upgraded`,
        );
      });
    },
};
