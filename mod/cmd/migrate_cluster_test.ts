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
  "/apis/whereabouts.cni.cncf.io/v1alpha1/ippools": [],
  "/apis/whereabouts.cni.cncf.io/v1alpha1/overlappingrangeipreservations": [],
};

/** Runs `migrate --cluster` on a cluster with these lists. */
async function onCluster(
  { forbidden = [], absent = [], argv = [] }: {
    readonly forbidden?: readonly string[];
    /** Kinds that the cluster does not have. */
    readonly absent?: readonly string[];
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
        const isOneOf = (plurals: readonly string[]) =>
          plurals.some((plural) => path.endsWith(`/${plural}`));
        if (isOneOf(forbidden)) return Response.json({ message: "no" }, { status: 403 });
        if (isOneOf(absent)) return Response.json({ message: "none" }, { status: 404 });
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
  assert.equal(asked.length, 10);
  assert.ok(asked.every((each) => each.startsWith("GET ")), asked.join("\n"));
});

const LEASES = ["ippools", "overlappingrangeipreservations"];

Deno.test("migrate --cluster -n reads one namespace, and the leases of whereabouts in all", async () => {
  const { asked } = await onCluster({ argv: ["-n", "shop"] });
  const others = asked.filter((each) => !each.includes("/namespaces/shop/"));
  assert.deepEqual(others.map((each) => /\/(\w+)\?/.exec(each)![1]), LEASES);
});

Deno.test("migrate --cluster needs no whereabouts, and says where its leases cannot be read", async () => {
  const none = await onCluster({ absent: LEASES });
  assert.equal(none.code, 0, none.stderr);
  const hidden = await onCluster({ forbidden: LEASES.slice(0, 1) });
  assert.equal(hidden.code, 3);
  assert.match(hidden.stderr, /left out: you have no right to list ippools in the whole cluster/);
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
