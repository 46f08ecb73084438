import assert from "node:assert/strict";
import { join } from "node:path";
import { type Outcome, outcome } from "../../tests/support/command_outcome.ts";
import { withClusterApi } from "../../tests/support/cluster_api.ts";
import { rawCluster } from "../../tests/support/cluster_objects.ts";

const NETWORKS = "k8s.v1.cni.cncf.io/networks";
const metadata = {
  name: "web",
  namespace: "shop",
  uid: "u",
  managedFields: [{ manager: "kubectl" }],
};
const template = (annotations?: object) => ({
  metadata: { labels: { app: "web" }, ...(annotations && { annotations }) },
  spec: { containers: [{ name: "main", image: "busybox" }] },
});
const deployment = (name: string, annotations?: object) => ({
  metadata: { ...metadata, name },
  spec: { selector: { matchLabels: { app: "web" } }, template: template(annotations) },
  status: { replicas: 1 },
});

/** Lists by their paths, as an API server gives them: without kinds of the items. */
const LISTS: Readonly<Record<string, readonly unknown[]>> = {
  "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions": [{
    metadata: { ...metadata, name: "lan" },
    spec: { config: '{"cniVersion": "1.0.0", "type": "macvlan", "master": "eth0"}' },
  }],
  "/apis/apps/v1/deployments": [deployment("web", { [NETWORKS]: "lan" }), deployment("other")],
  "/apis/apps/v1/statefulsets": [],
  "/apis/apps/v1/daemonsets": [],
  "/apis/apps/v1/replicasets": [{
    ...deployment("web-1", { [NETWORKS]: "lan" }),
    metadata: {
      ...metadata,
      name: "web-1",
      ownerReferences: [{ kind: "Deployment", name: "web", controller: true }],
    },
  }],
  "/apis/batch/v1/cronjobs": [],
  "/apis/batch/v1/jobs": [],
  "/api/v1/pods": [],
};

/** Runs `migrate --cluster` on a cluster with these lists. */
async function onCluster(
  { forbidden = [], argv = [] }: {
    readonly forbidden?: readonly string[];
    readonly argv?: readonly string[];
  } = {},
) {
  const folder = await Deno.makeTempDir();
  try {
    let asked: readonly string[] = [];
    let result: Outcome | undefined;
    await withClusterApi(rawCluster({}), async (api) => {
      api.fault = (_, { pathname }) => {
        const path = pathname.replace(/\/namespaces\/[^/]+/, "");
        const isForbidden = forbidden.some((plural) => path.endsWith(`/${plural}`));
        if (isForbidden) return Response.json({ message: "no" }, { status: 403 });
        return Response.json({ items: LISTS[path], metadata: { resourceVersion: "1" } });
      };
      const kubeconfig = join(folder, "kubeconfig");
      await Deno.writeTextFile(kubeconfig, api.kubeconfig());
      result = await outcome("migrate", "--cluster", "--kubeconfig", kubeconfig, ...argv);
      asked = api.asked;
    });
    assert.ok(result);
    return { ...result as Outcome, asked };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("migrate --cluster moves what is annotated, and leaves what controllers make", async () => {
  const { code, stdout, stderr, asked } = await onCluster();
  assert.equal(code, 0, stderr);
  assert.equal(
    stderr,
    "shop/network-attachment-definitions/lan:1: NetworkAttachmentDefinition shop/lan: " +
      "DeviceClass shop.lan\n" +
      "shop/deployments/web:1: Deployment web: ResourceClaimTemplate web-networks: " +
      "net1 of shop.lan\n" +
      "1 of 1 network and 1 of 1 workload moved; 0 to leave, 0 to decide\n",
  );
  assert.deepEqual(stdout.match(/^kind: .*$/gm), [
    "kind: DeviceClass",
    "kind: ResourceClaimTemplate",
    "kind: Deployment",
  ]);
  assert.doesNotMatch(stdout, /uid|managedFields|status/);
  assert.equal(asked.length, 8);
  assert.ok(asked.every((each) => each.startsWith("GET ")), asked.join("\n"));
});

Deno.test("migrate --cluster -n reads one namespace", async () => {
  const { asked } = await onCluster({ argv: ["-n", "shop"] });
  assert.ok(asked.every((each) => each.includes("/namespaces/shop/")), asked.join("\n"));
});

Deno.test("migrate --cluster says what could not be read", async () => {
  const some = await onCluster({ forbidden: ["pods"] });
  assert.equal(some.code, 3);
  assert.match(some.stderr, /^network-dra migrate: left out: you have no right to list pods/m);
  const none = await onCluster({ forbidden: ["network-attachment-definitions"] });
  assert.equal(none.code, 1);
  assert.match(none.stderr, /migrate: you have no right to list network-attachment-definitions/);
  assert.equal(none.stdout, "");
});

Deno.test("migrate takes either files or --cluster", async () => {
  for (const argv of [["migrate"], ["migrate", "--cluster", "lan.yaml"]]) {
    const { code, stderr } = await outcome(...argv);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /either FILE or --cluster is required, and not both\nRun 'network-dra mig/,
    );
  }
});
