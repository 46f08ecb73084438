import assert from "node:assert/strict";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { type RawCluster, rawCluster } from "../../tests/support/cluster_objects.ts";
import { SCENES } from "../../tests/support/cluster_scenes.ts";
import { type Outcome, outcome } from "../../tests/support/command_outcome.ts";
import { asPlugin, pluginWords } from "./command_line.ts";
import { parseAsked } from "./explain.ts";
import { UsageError } from "./usage_error.ts";

const named = (name: string) => SCENES.find((scene) => scene.name === name)!.cluster;

type Run = (...argv: string[]) => Promise<Outcome>;

/** Runs commands on a made-up cluster. */
function on(cluster: RawCluster, body: (run: Run, api: ClusterApi) => Promise<void>) {
  return withClusterApi(cluster, async (api) => {
    const folder = await Deno.makeTempDir();
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, api.kubeconfig());
    try {
      await body((...argv) => outcome(...argv, "--kubeconfig", kubeconfig), api);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function forbid(api: ClusterApi, ...plurals: string[]): void {
  api.fault = (plural) =>
    plurals.includes(plural)
      ? Response.json({ message: `${plural} is forbidden` }, { status: 403 })
      : undefined;
}

Deno.test("cluster-status shows a healthy cluster, exit code 0", () =>
  on(named("healthy"), async (run) => {
    const { code, stdout, stderr } = await run("cluster-status");
    assert.equal(stderr, "");
    assert.match(
      stdout.replace(/http:\S+,/, "SERVER,"),
      new RegExp(
        [
          /^Cluster: {2}SERVER, driver dra\.networking$/,
          /^Agents: {3}2 of 2 ready \(0\.1\.0: 2\)$/,
          /^Devices: {2}4 on 2 nodes, 1 in use by 1 attachment$/,
          /^Networks: 1$/,
          /^Claims: {3}1 \(1 attached\)$/,
        ].map(({ source }) => source.slice(1, -1)).join("\n"),
      ),
    );
    assert.match(
      stdout,
      /^NETWORK +DEFINED IN +PLUGINS .*\nlan +claims +macvlan +1 +1 +1 attached$/m,
    );
    assert.equal(code, 0);
  }));

Deno.test("cluster-status shows what is wrong first, exit code 3", () =>
  on(named("missing plugin"), async (run) => {
    const { code, stdout } = await run("cluster-status");
    assert.match(
      stdout,
      /^Wrong:\n {2}✗ claim default\/lan: .*a CNI plugin is missing.*\n {4}to do: ins/,
    );
    assert.equal(code, 3);
    const json = JSON.parse((await run("cluster-status", "-o", "json")).stdout);
    assert.equal(json.findings[0].where, "claim default/lan");
    assert.deepEqual(json.claims, { failed: 1 });
  }));

Deno.test("cluster-status --wait waits until nothing is wrong, or the time is over", () =>
  on(named("starting"), async (run, api) => {
    const over = await run("cluster-status", "--wait", "--timeout", "3s");
    assert.match(over.stderr, /^Waiting: 1 claim attaching\n/);
    assert.equal(over.code, 3);
    api.replace(named("healthy"));
    assert.equal((await run("cluster-status", "--wait")).code, 0);
  }));

Deno.test("pods shows which pod has which network", () =>
  on(named("healthy"), async (run) => {
    const { code, stdout } = await run("pods");
    assert.equal(code, 0);
    const [head, row, ...rest] = stdout.trim().split("\n");
    assert.match(head!, /^POD +NODE +NETWORK +INTERFACE +ADDRESSES +STATE +SINCE$/);
    assert.match(row!, /^web +node-1 +lan +net1 +10\.0\.0\.2\/24 +attached +\d/);
    assert.deepEqual(rest, []);
    assert.match(
      (await run("pods", "-A", "-o", "wide")).stdout,
      /^default +web .*02:00:00:00:00:01/m,
    );
    const { items } = parseYaml((await run("pods", "-o", "yaml")).stdout);
    assert.deepEqual(items[0].claims[0].view.attachments[0].ips, ["10.0.0.2/24"]);
    const none = await run("pods", "-n", "other");
    assert.match(none.stdout, /^No pod of the namespace other uses claims of dra\.networking\.$/m);
  }));

Deno.test("networks and devices show their tables", () =>
  on(named("healthy"), async (run) => {
    assert.match((await run("networks", "-o", "wide")).stdout, /^lan .* node-1$/m);
    const { stdout } = await run("devices", "--node", "node-1");
    assert.match(
      stdout,
      /^node-1 +cni +cni +up +1\/256\nnode-1 +eth1 +physical +up +1500 +0\/256$/m,
    );
    assert.match((await run("devices", "--node", "nosuch")).stdout, /^The node nosuch has no dev/);
    assert.match((await run("devices", "-o", "wide")).stdout, /default\/lan$/m);
  }));

for (const { name, cluster, hangsAt, todo = /^/ } of SCENES) {
  Deno.test(`explain names the fault of a pod: ${name}`, () =>
    on(cluster, async (run) => {
      const { code, stdout } = await run("explain", "pod/web");
      assert.equal(code, hangsAt === undefined ? 0 : 3);
      const end = hangsAt === undefined ? "attached" : `hangs at ${hangsAt}`;
      assert.match(stdout, new RegExp(`^lan: ${end}$`, "m"));
      assert.match(stdout, todo);
    }));
}

Deno.test("explain says what is not there, and which of several is meant", () =>
  on(named("healthy"), async (run, api) => {
    const missing = await run("explain", "pod/wbe");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /there is no pod "wbe" that uses claims .*did you mean "web"/);
    assert.match((await run("explain", "claim/gone")).stderr, /there is no claim "gone" of dra/);
    const { metadata, ...rest } = named("healthy").pods.at(-1)!;
    const twin = { ...rest, metadata: { ...metadata as object, namespace: "shop", uid: "twin" } };
    const claim = named("healthy").resourceclaims[0]!;
    const twinClaim = {
      ...claim,
      metadata: { ...claim.metadata as object, namespace: "shop", uid: "twin-claim" },
    };
    const { pods, resourceclaims, ...others } = named("healthy");
    api.replace({
      ...others,
      pods: [...pods, twin],
      resourceclaims: [...resourceclaims, twinClaim],
    });
    const several = await run("explain", "-A", "web");
    assert.equal(several.code, 1);
    assert.match(several.stderr, /choose one of these with -n:\n {2}default\n {2}shop\n/);
    assert.equal((await run("explain", "shop/web")).code, 0);
  }));

Deno.test("what the user may not read is said, and the rest is shown", () =>
  on(named("healthy"), async (run, api) => {
    forbid(api, "nodes", "events", "pods");
    const { code, stdout } = await run("cluster-status");
    assert.equal(code, 0);
    assert.match(stdout, /^Not shown:\n {2}you have no right to list nodes in the whole cluster/m);
    assert.match(stdout, /^Agents: {3}not shown; devices on 2 nodes$/m);
    assert.match(stdout, /^Claims: {3}1 \(1 attached\)$/m);
    const pods = await run("pods");
    assert.equal(pods.code, 1);
    assert.match(pods.stderr, /you have no right to list pods in the namespace default/);
    forbid(api, "events");
    const shown = await run("pods");
    assert.equal(shown.code, 0);
    assert.match(shown.stderr, /^Not shown: you have no right to list events/);
  }));

Deno.test("a cluster that cannot be looked at gets a sentence, never a stack trace", async (t) => {
  const cases: readonly [string, (api: ClusterApi) => void, RegExp][] = [
    ["no DRA API", (api) => {
      api.fault = (_, { pathname }) =>
        pathname.startsWith("/apis/")
          ? Response.json({ message: "no" }, { status: 404 })
          : undefined;
    }, /does not serve resource\.k8s\.io\/v1: Kubernetes 1\.34 or later is needed/],
    ["no rights", (api) => forbid(api, "resourceslices", "resourceclaims"), /you have no right/],
    ["bad credentials", (api) => {
      api.fault = () => Response.json({ message: "Unauthorized" }, { status: 401 });
    }, /does not accept the credentials of the kubeconfig: Unauthorized/],
    ["it hangs", (api) => {
      api.fault = (_, url) =>
        new Promise((resolve) => {
          const timer = setTimeout(() => resolve(Response.json({ url })), 2_000);
          Deno.unrefTimer(timer);
        });
    }, /no answer from http:\/\/127\.0\.0\.1:\d+: timed out/],
  ];
  for (const [name, prepare, says] of cases) {
    await t.step({
      name,
      // The answer that nobody waits for comes later.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () =>
        on(rawCluster(), async (run, api) => {
          prepare(api);
          const { code, stdout, stderr } = await run(
            "cluster-status",
            "--request-timeout",
            "1s",
          );
          assert.deepEqual([code, stdout], [1, ""]);
          assert.match(stderr, says);
          assert.doesNotMatch(stderr, /\n {4}at |KubeError|ReadError/);
        }),
    });
  }
});

Deno.test("a broken kubeconfig gets a sentence", async () => {
  const missing = await outcome("pods", "--kubeconfig", "/nonexistent/kubeconfig");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^network-dra pods: cannot open \/nonexistent\/kubeconfig: no such/);
});

Deno.test("a cluster without the driver is said to have none", () =>
  on({ ...rawCluster({ resourceslices: [], deviceclasses: [] }), pods: [] }, async (run) => {
    const { code, stdout } = await run("cluster-status");
    assert.equal(code, 3);
    assert.match(stdout, /no agent runs, and no node has devices of the driver dra\.networking/);
    assert.match(
      (await run("networks")).stdout,
      /^No claim and no DeviceClass names a network\.$/m,
    );
  }));

Deno.test("as a kubectl plugin, status is the cluster's", () => {
  const status = ["cluster-status"];
  const store = "/home/u/.krew/store/network-dra/v0.1.0/kubectl-network_dra";
  assert.deepEqual(pluginWords(["status"], store), status);
  assert.deepEqual(pluginWords(["status"], "C:\\tools\\kubectl-network_dra.exe"), status);
  assert.deepEqual(pluginWords(["kubectl", "status"], "/usr/bin/network-dra"), status);
  assert.equal(pluginWords(["status"], "/usr/bin/network-dra"), undefined);
  assert.deepEqual(asPlugin(["status", "--wait"]), ["cluster-status", "--wait"]);
  assert.deepEqual(asPlugin(["help", "status"]), ["help", "cluster-status"]);
  assert.deepEqual(asPlugin(["pods", "-n", "status"]), ["pods", "-n", "status"]);
});

Deno.test("parseAsked() reads what explain is to be about", () => {
  assert.deepEqual(parseAsked("pod/web"), { kind: "pod", name: "web" });
  assert.deepEqual(parseAsked("claim/lan"), { kind: "claim", name: "lan" });
  assert.deepEqual(parseAsked("web"), { kind: "pod", name: "web" });
  assert.deepEqual(parseAsked("shop/web"), { kind: "pod", namespace: "shop", name: "web" });
  assert.deepEqual(parseAsked("claim/shop/lan"), { kind: "claim", namespace: "shop", name: "lan" });
  for (const word of ["", "node/a/b", "pod/", "a/b/c/d", "Pod/../x"]) {
    assert.throws(() => parseAsked(word), UsageError, word);
  }
});

Deno.test("the page on the whole cluster shows what the commands print", async (t) => {
  const page = await Deno.readTextFile(
    new URL("../../docs/how-to/see-the-cluster.md", import.meta.url),
  );
  const shown = [...page.matchAll(/^\$ kubectl network-dra (.*)\n((?:(?!\$ |```).*\n)+)/gm)];
  assert.equal(shown.length, 5);
  for (const [, line = "", text = ""] of shown) {
    await t.step(
      line,
      () =>
        on(named(text.includes("failed") ? "exhausted addresses" : "healthy"), async (run, api) => {
          const { stdout } = await run(...asPlugin(line.split(" ")));
          const comparable = (each: string) => each.replaceAll(/ \d\w*$/gm, " SINCE");
          const here = stdout.replace(api.url, "https://10.0.0.1:6443");
          assert.equal(comparable(here), comparable(text));
        }),
    );
  }
});
