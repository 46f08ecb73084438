import assert from "node:assert/strict";
import { createSecureServer } from "node:http2";
import { withApi } from "../../tests/support/api_connection.ts";
import { certificates } from "../../tests/support/certificates.ts";
import { join } from "node:path";
import type { DeviceStatus } from "../agent/model.ts";
import type { SimulatedApiServer } from "../simulator/api_server.ts";
import { failure } from "../simulator/failure.ts";
import { KubeCluster } from "./cluster.ts";
import { KubeConnection } from "./connection.ts";
import type { KubeError } from "./error.ts";

const never = new AbortController().signal;
const driver = "dra.networking";

interface Bench {
  readonly api: SimulatedApiServer;
  readonly cluster: KubeCluster;
  readonly kubeconfig: string;
}

function withCluster(body: (bench: Bench) => Promise<void>) {
  return withApi(({ api, connection, kubeconfig }) =>
    body({ api, kubeconfig, cluster: new KubeCluster(connection, { driver, nodeName: "node" }) })
  );
}

const results = ["x", "y"].map((device) => ({ request: "r", driver, pool: "node", device }));

function aClaim(name = "a") {
  const others = [{ request: "gpu", driver: "gpu.example", pool: "node", device: "gpu-0" }];
  return {
    metadata: { namespace: "default", name },
    status: { allocation: { devices: { results: [...results, ...others] } } },
  };
}

function entry(device: string, more: Partial<DeviceStatus> = {}): DeviceStatus {
  return {
    driver,
    pool: "node",
    device,
    conditions: [{
      type: "Ready",
      status: "True",
      reason: "NetworkInterfaceReady",
      message: "",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    }],
    ...more,
  };
}

const at = { namespace: "default", name: "a" };

Deno.test("getClaim() gives the claim as it stands, unknown fields too", () =>
  withCluster(async ({ api, cluster }) => {
    const stored = api.put({ ...aClaim(), spec: { fieldOfTheFuture: { a: [1] } } });
    assert.deepEqual(await cluster.getClaim(at, never), stored);
  }));

Deno.test("getClaim() gives undefined for a claim that is not there", () =>
  withCluster(async ({ cluster }) => {
    assert.equal(await cluster.getClaim(at, never), undefined);
  }));

Deno.test("getPodClaims() gives the claims that a pod uses and its group, and none of one that is gone", () =>
  withCluster(async ({ api, cluster }) => {
    const pod = { namespace: "default", name: "p", uid: "uid-p" };
    const resourceClaims = [
      { name: "x", resourceClaimName: "lan" },
      { name: "y", resourceClaimTemplateName: "wan" },
      { name: "z", resourceClaimName: "storage" },
    ];
    let more: Record<string, unknown> = { spec: { resourceClaims } };
    api.fault = () => Response.json({ metadata: { name: "p", uid: "uid-p" }, ...more });
    assert.deepEqual(await cluster.getPodClaims(pod, never), { names: ["lan", "storage"] });
    const other = { ...pod, uid: "of-an-earlier-one" };
    assert.deepEqual(await cluster.getPodClaims(other, never), { names: [] });
    more = {
      spec: { resourceClaims, schedulingGroup: { podGroupName: "team" } },
      status: {
        resourceClaimStatuses: [{ name: "y", resourceClaimName: "team-wan-x" }, { name: "none" }],
        extendedResourceClaimStatus: { resourceClaimName: "p-extended" },
      },
    };
    assert.deepEqual(
      await cluster.getPodClaims(pod, never),
      { names: ["lan", "storage", "team-wan-x", "p-extended"], group: "team" },
    );
    more = { spec: {} };
    assert.deepEqual(await cluster.getPodClaims(pod, never), { names: [] });
    more = { spec: { resourceClaims: "lan" } };
    await assert.rejects(
      cluster.getPodClaims(pod, never),
      /spec\.resourceClaims: must be a list, not "lan"/,
    );
    api.fault = () => undefined;
    assert.deepEqual(await cluster.getPodClaims(pod, never), { names: [] });
    api.fault = () =>
      failure(403, "Forbidden", 'pods "p" is forbidden: User "agent" cannot get resource "pods"');
    await assert.rejects(cluster.getPodClaims(pod, never), /GET .*\/pods\/p.*is forbidden/);
  }));

Deno.test("getPodClaims() gives the claims that were made for a pod too", () =>
  withCluster(async ({ api, cluster }) => {
    const pod = { namespace: "default", name: "p", uid: "uid-p" };
    const spec = { resourceClaims: [{ name: "y", resourceClaimTemplateName: "wan" }] };
    const status = {
      resourceClaimStatuses: [{ name: "y", resourceClaimName: "p-wan" }, { name: "not needed" }],
      extendedResourceClaimStatus: { resourceClaimName: "p-extended" },
    };
    api.fault = () => Response.json({ metadata: { name: "p", uid: "uid-p" }, spec, status });
    assert.deepEqual((await cluster.getPodClaims(pod, never)).names, ["p-wan", "p-extended"]);
  }));

Deno.test("getClaim() says when the API server does not serve resource.k8s.io/v1", () =>
  withCluster(async ({ api, cluster }) => {
    api.fault = () => new Response("404 page not found", { status: 404 });
    await assert.rejects(
      cluster.getClaim(at, never),
      /does not serve resource\.k8s\.io\/v1: Kubernetes 1\.34 or later is needed/,
    );
  }));

Deno.test("getClaim() asks again when a busy API server says so, unless that is long", async (t) => {
  const busy = (after?: string) =>
    new Response("busy", {
      status: 429,
      headers: after === undefined ? {} : { "Retry-After": after },
    });
  await t.step("in a second", () =>
    withCluster(async ({ api, cluster }) => {
      const stored = api.put(aClaim());
      let tries = 0;
      api.fault = () => ++tries < 2 ? busy("1") : undefined;
      assert.deepEqual(await cluster.getClaim(at, never), stored);
      assert.equal(tries, 2);
    }));
  for (const after of [undefined, "120", "Wed, 21 Oct 2026 07:28:00 GMT"]) {
    await t.step(`${after}`, () =>
      withCluster(async ({ api, cluster }) => {
        let tries = 0;
        api.fault = () => {
          tries++;
          return busy(after);
        };
        await assert.rejects(cluster.getClaim(at, never), /429: busy/);
        assert.equal(tries, 1);
      }));
  }
  await t.step(
    "not when it is told to stop meanwhile",
    () =>
      withCluster(async ({ api, cluster }) => {
        const stop = new AbortController();
        let late: ReturnType<typeof setTimeout> | undefined;
        api.fault = () => {
          // It has the answer by then, and waits.
          late = setTimeout(() => stop.abort(), 2_000);
          return busy("10");
        };
        await assert.rejects(cluster.getClaim(at, stop.signal), /429: busy/);
        clearTimeout(late);
      }),
  );
});

Deno.test("getClaim() says what was asked and what the API server answered", () =>
  withCluster(async ({ api, cluster }) => {
    const message = 'resourceclaims "a" is forbidden: User "x" cannot get';
    api.fault = () => Response.json({ kind: "Status", message }, { status: 403 });
    await assert.rejects(cluster.getClaim(at, never), {
      name: "KubeError",
      status: 403,
      message: `GET /apis/resource.k8s.io/v1/namespaces/default/resourceclaims/a: 403: ${message}`,
    });
  }));

Deno.test("getClaim() rejects when the API server is away, and when it is told to stop", () =>
  withCluster(async ({ api, cluster }) => {
    const held = Promise.withResolvers<void>();
    api.fault = async () => {
      await held.promise;
      return undefined;
    };
    const stop = new AbortController();
    const waiting = cluster.getClaim(at, stop.signal);
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await assert.rejects(waiting, /no answer from http:.*enough/);
    held.resolve();
    await api.stop();
    await assert.rejects(cluster.getClaim(at, never), /no answer from http:\/\/127\.0\.0\.1/);
  }));

Deno.test("applyDeviceStatus() writes all entries, and removes those that are left out", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(aClaim());
    const networkData = {
      interfaceName: "net1",
      hardwareAddress: "02:00:00:00:00:01",
      ips: ["10.0.0.2/24"],
    };
    const data = { cniVersion: "1.0.0", ips: [] };
    const both = [entry("x", { data, networkData }), entry("y")];
    assert.equal(await cluster.applyDeviceStatus(metadata, both, never), "applied");
    assert.deepEqual(api.get("default", "a")?.status?.devices, both);
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("y")], never), "applied");
    assert.deepEqual(api.get("default", "a")?.status?.devices, [entry("y")]);
    assert.equal(await cluster.applyDeviceStatus(metadata, [], never), "applied");
    assert.equal(api.get("default", "a")?.status?.devices, undefined);
  }));

/** The claim, allocated to a device of one node's. */
function allocatedTo(pool: string, more: Record<string, unknown> = {}) {
  const allocation = { devices: { results: [{ request: "r", driver, pool, device: "x" }] } };
  return { metadata: { ...at, uid: "uid-a" }, status: { allocation, ...more } };
}

Deno.test("applyDeviceStatus() without entries leaves alone what another node has written since", async (t) => {
  const { metadata } = allocatedTo("node");
  await t.step("before it looked", () =>
    withApi(async ({ api, connection }) => {
      const [here, there] = ["node", "node-b"].map((nodeName) =>
        new KubeCluster(connection, { driver, nodeName })
      );
      api.put(allocatedTo("node"));
      await here!.applyDeviceStatus(metadata, [entry("x")], never);
      api.put(allocatedTo("node-b"));
      assert.equal(await here!.applyDeviceStatus(metadata, [], never), "gone");
      const theirs = entry("x", { pool: "node-b" });
      await there!.applyDeviceStatus(metadata, [theirs], never);
      assert.equal(await here!.applyDeviceStatus(metadata, [], never), "gone");
      assert.deepEqual(api.get("default", "a")?.status?.devices, [theirs]);
    }));
  await t.step("between its look and its write", () =>
    withCluster(async ({ api, cluster }) => {
      api.put(allocatedTo("node"));
      await cluster.applyDeviceStatus(metadata, [entry("x")], never);
      const theirs = entry("x", { pool: "node-b" });
      api.fault = (request: Request) => {
        if (request.method === "PATCH") {
          api.put(allocatedTo("node-b", { devices: [theirs] }));
        }
        return undefined;
      };
      assert.equal(await cluster.applyDeviceStatus(metadata, [], never), "gone");
      assert.deepEqual(api.get("default", "a")?.status?.devices, [theirs]);
    }));
});

Deno.test("applyDeviceStatus() says gone for a claim that is allocated to another node, or to none", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(allocatedTo("node-b"));
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("x")], never), "gone");
    api.put({ metadata });
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("x")], never), "gone");
  }));

Deno.test("applyDeviceStatus() without entries tries a few times when the claim changes meanwhile", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(aClaim());
    await cluster.applyDeviceStatus(metadata, [entry("x")], never);
    let changes = 2;
    api.fault = (request: Request) => {
      if (request.method === "PATCH" && changes-- > 0) api.put(api.get("default", "a")!);
      return undefined;
    };
    assert.equal(await cluster.applyDeviceStatus(metadata, [], never), "applied");
    assert.equal(api.get("default", "a")?.status?.devices, undefined);
    await cluster.applyDeviceStatus(metadata, [entry("x")], never);
    changes = Infinity;
    await assert.rejects(cluster.applyDeviceStatus(metadata, [], never), /has been modified/);
  }));

/**
 * Refuses server-side applies as the API server does where the keys of a claim's parameters are not
 * in alphabetical order.
 */
function refusingApplies(request: Request): Response | undefined {
  if (request.headers.get("Content-Type") !== "application/apply-patch+yaml") return undefined;
  const said = 'ResourceClaim.resource.k8s.io "a" is invalid: status.allocation: Invalid value: ' +
    '{"devices":{}}: field is immutable';
  return failure(422, "Invalid", said, ["status.allocation"]);
}

Deno.test("applyDeviceStatus() writes by JSON Patch where an apply would change the order of a claim's parameters", () =>
  withCluster(async ({ api, cluster, kubeconfig }) => {
    const { metadata } = api.put(aClaim());
    const connection = new KubeConnection({ kubeconfig });
    const other = new KubeCluster(connection, { driver: "gpu.example", nodeName: "node" });
    const gpu = entry("gpu-0", {
      driver: "gpu.example",
      data: { cniVersion: "1.0.0", z: 1, a: 2 },
    });
    const shown = () => api.get("default", "a")?.status?.devices;
    await cluster.applyDeviceStatus(metadata, [entry("x")], never);
    await other.applyDeviceStatus(metadata, [gpu], never);
    api.fault = refusingApplies;
    const networkData = { interfaceName: "net1" };
    const both = [entry("x", { networkData }), entry("y")];
    assert.equal(await cluster.applyDeviceStatus(metadata, both, never), "applied");
    assert.deepEqual(shown(), [both[0], gpu, both[1]], "also what was applied before");
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("y")], never), "applied");
    assert.deepEqual(shown(), [gpu, entry("y")]);
    assert.equal(await cluster.applyDeviceStatus(metadata, [], never), "applied");
    assert.deepEqual(shown(), [gpu]);
    assert.equal(await cluster.applyDeviceStatus(metadata, [], never), "applied");
    connection.close();
  }));

Deno.test("applyDeviceStatus() removes what was written by JSON Patch, also where applies are accepted", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(aClaim());
    const shown = () => api.get("default", "a")?.status?.devices;
    api.fault = refusingApplies;
    await cluster.applyDeviceStatus(metadata, [entry("x"), entry("y")], never);
    api.fault = () => undefined;
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("x")], never), "applied");
    assert.deepEqual(shown(), [entry("x")]);
    assert.equal(await cluster.applyDeviceStatus(metadata, [], never), "applied");
    assert.equal(shown(), undefined);
  }));

Deno.test("applyDeviceStatus() by JSON Patch tries a few times when the claim changes meanwhile", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(aClaim());
    let changes = 2;
    api.fault = (request: Request) => {
      const refused = refusingApplies(request);
      if (refused) return refused;
      if (request.method === "PATCH" && changes-- > 0) api.put(api.get("default", "a")!);
      return undefined;
    };
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("x")], never), "applied");
    assert.deepEqual(api.get("default", "a")?.status?.devices, [entry("x")]);
    changes = Infinity;
    await assert.rejects(
      cluster.applyDeviceStatus(metadata, [entry("y")], never),
      { status: 409, refused: false, message: /has been modified 3 times while its status was/ },
    );
  }));

Deno.test("applyDeviceStatus() by JSON Patch says gone for a claim that is not its own any more", async (t) => {
  const meanwhile: Record<string, (api: SimulatedApiServer) => void> = {
    "another has its name": (api) => void api.put(aClaim()),
    "it is allocated to another node": (api) => void api.put(allocatedTo("node-b")),
    "it is not allocated": (api) => void api.put({ metadata: { ...at, uid: "uid-a" } }),
    "it is deleted": (api) => api.delete("default", "a"),
  };
  for (const [name, change] of Object.entries(meanwhile)) {
    for (const devices of [[entry("x", { data: { cniVersion: "1.0.0" } })], []]) {
      await t.step(
        `${name}, with ${devices.length} entries`,
        () =>
          withCluster(async ({ api, cluster }) => {
            const { metadata } = api.put(allocatedTo("node"));
            await cluster.applyDeviceStatus(metadata, [entry("x")], never);
            api.fault = (request: Request) => {
              const refused = refusingApplies(request);
              if (!refused && request.method === "PATCH") change(api);
              return refused;
            };
            const expected = devices.length === 0 && name === "it is not allocated"
              ? "applied"
              : "gone";
            assert.equal(await cluster.applyDeviceStatus(metadata, devices, never), expected);
          }),
      );
    }
  }
});

Deno.test("applyDeviceStatus() by JSON Patch rejects with what the API server finds wrong", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(aClaim());
    api.fault = refusingApplies;
    const tooLong = entry("x", { data: { cniVersion: "1.0.0", x: "x".repeat(10_240) } });
    await assert.rejects(
      cluster.applyDeviceStatus(metadata, [tooLong], never),
      { status: 422, refused: true, message: /data: Too long/ },
    );
    // Where the parameters have more than their order that JSON Patch changes.
    api.fault = (request: Request) =>
      request.method === "PATCH"
        ? failure(422, "Invalid", "field is immutable", ["status.allocation"])
        : undefined;
    await assert.rejects(
      cluster.applyDeviceStatus(metadata, [entry("x")], never),
      { status: 422, refused: true, message: /field is immutable/ },
    );
    assert.equal(api.get("default", "a")?.status?.devices, undefined);
  }));

Deno.test("applyDeviceStatus() leaves other drivers' entries alone", () =>
  withCluster(async ({ api, cluster, kubeconfig }) => {
    const { metadata } = api.put(aClaim());
    const connection = new KubeConnection({ kubeconfig });
    const other = new KubeCluster(connection, { driver: "gpu.example", nodeName: "node" });
    const gpu = entry("gpu-0", { driver: "gpu.example" });
    await other.applyDeviceStatus(metadata, [gpu], never);
    await cluster.applyDeviceStatus(metadata, [entry("x")], never);
    await cluster.applyDeviceStatus(metadata, [], never);
    assert.deepEqual(api.get("default", "a")?.status?.devices, [gpu]);
    connection.close();
  }));

Deno.test("applyDeviceStatus() says gone for a claim that is away or another", () =>
  withCluster(async ({ api, cluster }) => {
    const { metadata } = api.put(aClaim());
    api.put(aClaim());
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("x")], never), "gone");
    assert.equal(api.get("default", "a")?.status?.devices, undefined);
    api.delete("default", "a");
    assert.equal(await cluster.applyDeviceStatus(metadata, [entry("x")], never), "gone");
  }));

Deno.test("applyDeviceStatus() rejects with what the API server finds wrong", async (t) => {
  const cases: Record<string, { given: DeviceStatus[]; says: RegExp }> = {
    "a device that is not allocated": { given: [entry("z")], says: /must be an allocated device/ },
    "a shareID that is not allocated": {
      given: [entry("x", { shareID: "s" })],
      says: /must be an allocated device/,
    },
    "the same device twice": { given: [entry("x"), entry("x")], says: /Duplicate value/ },
    "data of more than 10 KiB": {
      given: [entry("x", { data: { cniVersion: "1.0.0", x: "x".repeat(10_240) } })],
      says: /data: Too long/,
    },
    "data that is not an object": {
      given: [entry("x", { data: ["x"] as never })],
      says: /data: Invalid value: must be a JSON object/,
    },
    "an address that is not canonical": {
      given: [entry("x", { networkData: { ips: ["FD00::1/64"] } })],
      says: /ips\[0\]: Invalid value: "FD00::1\/64": must be in canonical form/,
    },
    "an address without a prefix": {
      given: [entry("x", { networkData: { ips: ["10.0.0.1"] } })],
      says: /canonical/,
    },
    "an IPv4 address as IPv6": {
      given: [entry("x", { networkData: { ips: ["::ffff:10.0.0.1/120"] } })],
      says: /canonical/,
    },
    "an address twice": {
      given: [entry("x", { networkData: { ips: ["10.0.0.1/24", "10.0.0.1/24"] } })],
      says: /ips\[1\]: Duplicate value/,
    },
    "17 addresses": {
      given: [entry("x", {
        networkData: { ips: Array.from({ length: 17 }, (_, i) => `10.0.0.${i}/24`) },
      })],
      says: /ips: Too many: 17/,
    },
    "an interface name of 257 bytes": {
      given: [entry("x", { networkData: { interfaceName: "x".repeat(257) } })],
      says: /interfaceName: Too long/,
    },
    "a hardware address of 129 bytes": {
      given: [entry("x", { networkData: { hardwareAddress: "x".repeat(129) } })],
      says: /hardwareAddress: Too long/,
    },
    "nine conditions": {
      given: [entry("x", {
        conditions: Array.from({ length: 9 }, (_, i) => ({
          ...entry("x").conditions[0]!,
          type: `T${i}` as "Ready",
        })),
      })],
      says: /conditions: Too many: 9/,
    },
    "a condition without a reason": {
      given: [
        entry("x", {
          conditions: [{ ...entry("x").conditions[0]!, reason: "" as "DeviceRemoved" }],
        }),
      ],
      says: /reason: Invalid value/,
    },
    "a condition without a time": {
      given: [entry("x", {
        conditions: [{ ...entry("x").conditions[0]!, lastTransitionTime: "yesterday" }],
      })],
      says: /lastTransitionTime: Required value/,
    },
  };
  for (const [name, { given, says }] of Object.entries(cases)) {
    await t.step(name, () =>
      withCluster(async ({ api, cluster }) => {
        const { metadata } = api.put(aClaim());
        await assert.rejects(cluster.applyDeviceStatus(metadata, given, never), (error: Error) => {
          const { status, refused } = error as KubeError;
          assert.deepEqual([status, refused], [422, true]);
          assert.match(error.message, says);
          return true;
        });
        assert.equal(api.get("default", "a")?.status?.devices, undefined);
      }));
  }
});

Deno.test("KubeConnection says what is missing", async () => {
  assert.throws(() => new KubeConnection({}), /not in a cluster .*: give --kubeconfig/);
  const folder = await Deno.makeTempDir();
  try {
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, "apiVersion: v1\nkind: Config\nclusters: []\n");
    assert.throws(() => new KubeConnection({ kubeconfig }), /the current context has no cluster/);
    assert.throws(() => new KubeConnection({ kubeconfig: join(folder, "none") }), /none/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("KubeConnection outlives a client certificate that is seen half rotated", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { ca, cert, key } = await certificates(folder);
    const clientKey = join(folder, "client.key");
    await Deno.copyFile(join(folder, "ca.key"), clientKey);
    const kubeconfig = join(folder, "kubeconfig");
    const user = { "client-certificate": cert, "client-key": clientKey };
    const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const server = `https://127.0.0.1:${nobody.addr.port}`;
    nobody.close();
    const cluster = { server, "certificate-authority": ca };
    await Deno.writeTextFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: "c", cluster }],
        users: [{ name: "u", user }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
      }),
    );
    const connection = new KubeConnection({ kubeconfig });
    const request = () => connection.request({ method: "GET", path: "/x", signal: never });
    await assert.rejects(request(), /certificate and its key do not match/);
    await Deno.copyFile(key, clientKey);
    await assert.rejects(request(), /no answer .*refused/i);
    connection.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("KubeConnection trusts the cluster's authority, sends its credentials, and reads rotated tokens again", async () => {
  const folder = await Deno.makeTempDir();
  const { ca, cert, key } = await certificates(folder);
  const seen: (string | null)[] = [];
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: await Deno.readTextFile(cert),
    key: await Deno.readTextFile(key),
    onListen: () => {},
  }, (request) => {
    seen.push(request.headers.get("Authorization"));
    return Response.json({});
  });
  const kubeconfig = join(folder, "kubeconfig");
  const token = join(folder, "token");
  await Deno.writeTextFile(token, "first");
  const write = (cluster: object, user: object) =>
    Deno.writeTextFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{
          name: "c",
          cluster: { server: `https://127.0.0.1:${server.addr.port}`, ...cluster },
        }],
        users: [{ name: "u", user }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
      }),
    );
  const get = async (connection: KubeConnection) => {
    await connection.request({ method: "GET", path: "/x", signal: never });
  };
  try {
    await write({ "certificate-authority": ca }, {
      "auth-provider": { name: "tokenFile", config: { tokenFile: token } },
      "client-certificate": cert,
      "client-key": key,
    });
    const connection = new KubeConnection({ kubeconfig });
    await get(connection);
    await Deno.writeTextFile(token, "second");
    // The library reads a token file again after a minute.
    const RealDate = Date;
    try {
      globalThis.Date = class extends RealDate {
        static override now() {
          return RealDate.now() + 120_000;
        }
        constructor() {
          super(RealDate.now() + 120_000);
        }
      } as DateConstructor;
      await get(connection);
    } finally {
      globalThis.Date = RealDate;
    }
    connection.close();
    assert.deepEqual(seen, ["Bearer first", "Bearer second"]);

    await write({}, {});
    const stranger = new KubeConnection({ kubeconfig });
    await assert.rejects(get(stranger), /no answer from https:.*ertificate/);
    stranger.close();

    await write({ "insecure-skip-tls-verify": true }, {});
    assert.throws(
      () => new KubeConnection({ kubeconfig }),
      /insecure-skip-tls-verify is not supported/,
    );
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("KubeConnection sends the token that a kubeconfig names as a file", async () => {
  const folder = await Deno.makeTempDir();
  const seen: (string | null)[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    seen.push(request.headers.get("Authorization"));
    return Response.json({});
  });
  try {
    await Deno.writeTextFile(join(folder, "token"), "secret\n");
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(
      kubeconfig,
      `
        clusters:
          - name: c
            cluster:
              server: http://127.0.0.1:${server.addr.port}
              insecure-skip-tls-verify: true
        users: [{name: other, user: {}}, {name: u, user: {token: stale, tokenFile: token}}]
        contexts: [{name: x, context: {cluster: c, user: u}}]
        current-context: x
      `,
    );
    const connection = new KubeConnection({ kubeconfig });
    await connection.request({ method: "GET", path: "/x", signal: never });
    connection.close();
    assert.deepEqual(seen, ["Bearer secret"]);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});

interface SecureServer {
  readonly port: number;
  /** A connection to the server, or to a port that leads there. */
  readonly connect: (port?: number) => Promise<KubeConnection>;
  /** The versions of HTTP that were spoken. */
  readonly seen: readonly string[];
}

/** Runs with a server of HTTP/2 and HTTP/1.1 that answers everything with `{}`. */
async function withSecureServer(body: (server: SecureServer) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const { ca, cert, key } = await certificates(folder);
  const seen: string[] = [];
  const server = createSecureServer({
    allowHTTP1: true,
    cert: await Deno.readTextFile(cert),
    key: await Deno.readTextFile(key),
  }, (request, response) => {
    seen.push(request.httpVersion);
    request.resume().on("end", () => response.end("{}"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const connections: KubeConnection[] = [];
  const connect = async (to = port) => {
    const kubeconfig = join(folder, "kubeconfig");
    const cluster = { server: `https://127.0.0.1:${to}`, "certificate-authority": ca };
    await Deno.writeTextFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: "c", cluster }],
        users: [{ name: "u", user: {} }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
      }),
    );
    const connection = new KubeConnection({ kubeconfig, timeout: 2_000 });
    connections.push(connection);
    return connection;
  };
  try {
    await body({ port, connect, seen });
  } finally {
    for (const connection of connections) connection.close();
    await new Promise((resolve) => server.close(resolve));
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("KubeConnection sends long bodies by HTTP/1.1, over which they wait for no acknowledgement", () =>
  withSecureServer(async ({ connect, seen }) => {
    const connection = await connect();
    await connection.request({ method: "GET", path: "/x", signal: never });
    for (const length of [10, 900, 1_100, 100_000]) {
      const body = "x".repeat(length);
      await connection.request({ method: "PATCH", path: "/x", body, signal: never });
    }
    assert.deepEqual(seen, ["2.0", "2.0", "2.0", "1.1", "1.1"]);
  }));

Deno.test("KubeConnection gives a connection up over which no answer came", async (t) => {
  for (const [name, length] of Object.entries({ "HTTP/2": 10, "HTTP/1.1": 5_000 })) {
    await t.step(name, () =>
      withSecureServer(async ({ port, connect, seen }) => {
        using cable = new Cable(port);
        const connection = await connect(cable.port);
        const body = "x".repeat(length);
        const send = () => connection.request({ method: "PUT", path: "/x", body, signal: never });
        await send();
        // As when a node of the control plane loses its power: nobody ends the connection.
        cable.cut();
        await assert.rejects(send(), /no answer/);
        await send();
        assert.equal(seen.length, 2);
      }));
  }
});

/** Passes bytes on to a port, until its connections are cut off without notice to either side. */
class Cable implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ends: Deno.Conn[] = [];
  #cut = new Set<Deno.Conn>();

  constructor(port: number) {
    void this.#serve(port);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  cut(): void {
    this.#cut = new Set(this.#ends);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const end of this.#ends) end.close();
  }

  async #serve(port: number): Promise<void> {
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port });
      this.#ends.push(near, far);
      for (const [from, to] of [[near, far], [far, near]] as const) {
        void this.#pass(from, to).catch(() => {});
      }
    }
  }

  async #pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const bytes = new Uint8Array(16_384);
    for (let n = await from.read(bytes); n !== null; n = await from.read(bytes)) {
      if (!this.#cut.has(from)) await to.write(bytes.subarray(0, n));
    }
  }
}
