import assert from "node:assert/strict";
import type { Clock } from "../async/clock.ts";
import type { ProbeLine, Task } from "../probe/protocol.ts";
import { type Plan, planOf, type PlanOptions, removeCommand, TASK_ANNOTATION } from "./plan.ts";
import { runSession } from "./session.ts";
import { type TestApi, TestCluster } from "./test_cluster.ts";
import { TestProblem } from "./tested_network.ts";

const DRIVER = "dra.networking";
const OPTIONS: PlanOptions = {
  id: "x7k2p",
  driver: DRIVER,
  className: "host-interface",
  network: { kind: "macvlan", interface: "eth0" },
  nodes: ["node-1", "node-2"],
  isolation: true,
  families: "ipv4",
  image: "registry.example/network-dra:1",
  pullPolicy: "IfNotPresent",
};
const IPS: Readonly<Record<string, string>> = { a: "198.18.0.2", b: "198.18.0.3" };

// deno-lint-ignore no-explicit-any -- objects as the API server has them
type Raw = any;

/** An API server with a kubelet, a driver and probes behind it, in memory. */
class FakeCluster implements TestApi {
  readonly objects = new Map<string, Raw>();
  readonly requests: string[] = [];
  readonly #logs = new Map<string, ProbeLine[]>();
  /** Called before each request. */
  before: (method: string, path: string) => void = () => {};
  /** What a pod's container is doing. */
  containerOf: (role: string) => Raw = () => ({ running: {} });

  request(method: string, path: string, { body, signal }: Raw): Promise<unknown> {
    return Promise.resolve().then(() => {
      signal.throwIfAborted();
      const [plain = ""] = path.split("?");
      this.requests.push(`${method} ${plain}`);
      this.before(method, plain);
      switch (method) {
        case "POST":
          this.objects.set(`${plain}/${body.metadata.name}`, body);
          return body;
        case "PATCH":
          return this.#measure(plain, JSON.parse(body.metadata.annotations[TASK_ANNOTATION]));
        case "DELETE":
          for (const key of this.objects.keys()) {
            const inIt = key.includes(`${plain.replace("/api/v1", "")}/`);
            if (key === plain || inIt) this.objects.delete(key);
          }
          return {};
        default:
          return this.#get(plain);
      }
    });
  }

  text(path: string): Promise<string> {
    const pod = path.split("/").at(-2)!;
    const lines = this.#logs.get(pod) ?? [];
    return Promise.resolve(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  #get(path: string): unknown {
    if (path.endsWith("/events")) return { items: [] };
    const pods = [...this.objects.values()].filter(({ kind }) => kind === "Pod");
    if (path.endsWith("/pods")) {
      return { items: pods.map((pod) => ({ ...pod, status: this.#status(pod) })) };
    }
    if (!path.endsWith("/resourceclaims")) return this.objects.get(path);
    return { items: pods.filter(({ spec }) => spec.resourceClaims).map(claimOf) };
  }

  #status({ metadata: { name } }: Raw): Raw {
    const state = this.containerOf(roleOf(name));
    if (state.running && !this.#logs.has(name)) {
      const addresses = [`${IPS[roleOf(name)]}/24`];
      this.#logs.set(name, [{ probe: "started", interfaces: [{ name: "net1", addresses }] }]);
    }
    return { phase: state.running ? "Running" : "Pending", containerStatuses: [{ state }] };
  }

  #measure(path: string, { from, peers }: Task): void {
    const name = path.split("/").at(-1)!;
    const results = peers.flatMap(({ name: peer, addresses }) =>
      addresses.map((address) => ({
        peer,
        address,
        ...from === "outside" ? { reach: { state: "silent" as const, problem: "no answer" } } : {
          reach: {
            state: "reached" as const,
            firstMs: 3,
            roundTripMs: 1,
            seenAs: IPS[roleOf(name)]!,
          },
          datagrams: { state: "all" as const },
          stream: { state: "flowed" as const, bitsPerSecond: 1e9 },
        },
      }))
    );
    this.#logs.get(name)!.push({ probe: "measured", results });
  }
}

const roleOf = (pod: string) => pod.split("-").at(-1)!;

function claimOf({ metadata: { name, namespace } }: Raw): Raw {
  const at = { driver: DRIVER, pool: "node-1", device: "eth0" };
  const ready = { type: "Ready", status: "True", reason: "", message: "", lastTransitionTime: "" };
  return {
    metadata: {
      name: `${name}-claim`,
      namespace,
      uid: name,
      ownerReferences: [{ kind: "Pod", controller: true, name, uid: name }],
    },
    spec: { devices: { requests: [] } },
    status: {
      allocation: { devices: { results: [{ ...at, request: "network" }] } },
      devices: [{
        ...at,
        conditions: [ready],
        networkData: { interfaceName: "net1", ips: [`${IPS[roleOf(name)]}/24`] },
      }],
    },
  };
}

/** Runs a test against a cluster, with a clock that is moved on by who waits. */
async function run(
  cluster: FakeCluster,
  { plan = planOf(OPTIONS), keep = false, interrupted = new AbortController().signal }: {
    readonly plan?: Plan;
    readonly keep?: boolean;
    readonly interrupted?: AbortSignal;
  } = {},
) {
  let now = 0;
  const clock: Clock = {
    now: () => new Date(now),
    elapsed: () => now,
    sleep: async (ms, signal) => {
      // A limit is not waited for.
      if (ms > 1000) return await new Promise(() => {});
      signal?.throwIfAborted();
      now += ms;
      await Promise.resolve();
    },
  };
  const said: string[] = [];
  const result = await runSession(plan, new TestCluster(cluster, plan), {
    driver: DRIVER,
    clock,
    say: (line) => said.push(line),
    startMs: 60_000,
    keep,
    interrupted,
    abandoned: new AbortController().signal,
  });
  return { ...result, said };
}

Deno.test("planOf() makes pods without privileges, of which one has no claim", () => {
  const { objects, pods } = planOf(OPTIONS);
  assert.deepEqual(objects.map(({ kind, name }) => `${kind} ${name}`), [
    "Namespace network-dra-test-x7k2p",
    "ResourceClaimTemplate network-dra-test-x7k2p-a",
    "ResourceClaimTemplate network-dra-test-x7k2p-b",
    "Pod network-dra-test-x7k2p-a",
    "Pod network-dra-test-x7k2p-b",
    "Pod network-dra-test-x7k2p-outside",
  ]);
  assert.deepEqual([...pods.values()].map(({ node }) => node), ["node-1", "node-2", "node-1"]);
  const specs = objects.filter(({ kind }) => kind === "Pod").map(({ manifest }) =>
    manifest.spec as Raw
  );
  assert.deepEqual(specs.map(({ resourceClaims }) => resourceClaims?.length ?? 0), [1, 1, 0]);
  for (const { securityContext, containers: [container], automountServiceAccountToken } of specs) {
    assert.equal(securityContext.runAsNonRoot, true);
    assert.equal(automountServiceAccountToken, false);
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  }
  const addresses = objects.slice(1, 3).map(({ manifest: { spec } }) =>
    (spec as Raw).spec.devices.config[0].opaque.parameters.config.ipam.addresses
  );
  assert.notDeepEqual(addresses[0], addresses[1]);
  assert.equal(addresses[0].length, 1);
});

Deno.test("runSession() measures from pod to pod, and leaves nothing", async () => {
  const cluster = new FakeCluster();
  const { outcome, removal } = await run(cluster);
  assert.equal(outcome.state, "judged", JSON.stringify(outcome));
  if (outcome.state !== "judged") return;
  const failed = outcome.checks.filter(({ result }) => result === "failed");
  assert.deepEqual(failed, []);
  assert.deepEqual(removal, { state: "removed" });
  assert.deepEqual([...cluster.objects.keys()], []);
  const tasks = cluster.requests.filter((each) => each.startsWith("PATCH")).map((each) =>
    each.split("-").at(-1)
  );
  assert.deepEqual(tasks, ["a", "b", "outside"]);
});

Deno.test("runSession() keeps what it made when asked to", async () => {
  const cluster = new FakeCluster();
  const plan = planOf(OPTIONS);
  assert.deepEqual((await run(cluster, { plan, keep: true })).removal, { state: "kept" });
  assert.equal(cluster.objects.size, 6);
  assert.equal(
    removeCommand(plan, "kubectl"),
    "kubectl delete namespace network-dra-test-x7k2p",
  );
});

Deno.test("runSession() in a namespace that was there removes only its own objects", async () => {
  const cluster = new FakeCluster();
  const plan = planOf({ ...OPTIONS, namespace: "team" });
  cluster.objects.set("/api/v1/namespaces/team", { kind: "Namespace" });
  cluster.objects.set("/api/v1/namespaces/team/configmaps/theirs", { kind: "ConfigMap" });
  const { outcome, removal } = await run(cluster, { plan });
  assert.deepEqual([outcome.state, removal.state], ["judged", "removed"]);
  assert.deepEqual([...cluster.objects.keys()], [
    "/api/v1/namespaces/team",
    "/api/v1/namespaces/team/configmaps/theirs",
  ]);
  assert.equal(
    removeCommand(plan, "kubectl"),
    "kubectl --namespace team delete pods,resourceclaimtemplates --selector network-dra/test=x7k2p",
  );
});

Deno.test("runSession() removes all of it when broken off while it waits", async () => {
  const cluster = new FakeCluster();
  const user = new AbortController();
  cluster.containerOf = () => ({ waiting: { reason: "ContainerCreating" } });
  cluster.before = (method, path) => {
    if (method === "GET" && path.endsWith("/events")) user.abort();
  };
  const { outcome, removal } = await run(cluster, { interrupted: user.signal });
  assert.deepEqual([outcome.state, removal.state], ["interrupted", "removed"]);
  assert.deepEqual([...cluster.objects.keys()], []);
});

Deno.test("runSession() says which pod does not start, and why", async () => {
  const cluster = new FakeCluster();
  cluster.containerOf = (role) =>
    role === "b" ? { waiting: { reason: "ContainerCreating" } } : { running: {} };
  const pending = await run(cluster);
  assert.equal(pending.outcome.state, "stopped");
  assert.match(
    (pending.outcome as { problem: string }).problem,
    /^pod b on node-2 did not start within 60 s: ContainerCreating/,
  );
  cluster.containerOf = () => ({ waiting: { reason: "ErrImageNeverPull", message: "no image" } });
  const image = await run(cluster);
  assert.equal(image.outcome.state, "stopped");
  assert.match((image.outcome as { whatToDo: string }).whatToDo, /^give --image/);
  assert.deepEqual([...cluster.objects.keys()], []);
});

Deno.test("runSession() says what the user may not do, and what is left where removal fails", async () => {
  const cluster = new FakeCluster();
  cluster.before = (method, path) => {
    if (method === "POST" && path.endsWith("/pods")) throw new TestProblem("no right", "ask");
    if (method === "DELETE") throw new TestProblem("no answer", "wait");
  };
  const { outcome, removal } = await run(cluster);
  assert.deepEqual(outcome, { state: "stopped", problem: "no right", whatToDo: "ask" });
  assert.deepEqual(removal, { state: "left", problem: "no answer" });
});
