import assert from "node:assert/strict";
import { join } from "node:path";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { rawCluster } from "../../tests/support/cluster_objects.ts";
import { SCENES } from "../../tests/support/cluster_scenes.ts";
import { type Outcome, outcome } from "../../tests/support/command_outcome.ts";
import { answerExec, EXITED_0 } from "../../tests/support/exec_server.ts";
import { KEY_PEM, NAMES, plantedCluster, SECRETS } from "../../tests/support/planted_cluster.ts";

interface Node {
  readonly api: ClusterApi;
  /** Runs sysdump, unpacks what it has written with tar, and gives the files by their paths. */
  readonly dump: (...argv: string[]) => Promise<Dumped>;
  readonly folder: string;
}

interface Dumped extends Outcome {
  readonly files: ReadonlyMap<string, string>;
}

/** What the cluster answers besides lists: logs, an agent's status, versions. */
interface Answers {
  readonly log?: string;
  readonly previous?: string;
  readonly status?: string;
  readonly lists?: Readonly<Record<string, readonly unknown[]>>;
}

function serve(api: ClusterApi, { log = "", previous = "", status = "{}", lists = {} }: Answers) {
  api.special = (request, { pathname, searchParams }) => {
    if (pathname === "/version") return Response.json({ gitVersion: "v1.36.2" });
    if (pathname.endsWith("/exec")) {
      return answerExec(request, { stdout: status, status: EXITED_0 });
    }
    if (pathname.endsWith("/log")) {
      return new Response(searchParams.get("previous") === "true" ? previous : log);
    }
    const items = lists[pathname.split("/").at(-1)!];
    return items && Response.json({ metadata: {}, items });
  };
}

const CHART = { daemonsets: [], configmaps: [] };

function on(cluster: Parameters<typeof withClusterApi>[0], body: (node: Node) => Promise<void>) {
  return withClusterApi(cluster, async (api) => {
    const folder = await Deno.makeTempDir();
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, api.kubeconfig());
    const dump = async (...argv: string[]) => {
      const path = join(folder, "dump.tar.gz");
      const ended = await outcome("sysdump", "-o", path, ...argv, "--kubeconfig", kubeconfig);
      return { ...ended, files: await unpacked(path, join(folder, "unpacked")) };
    };
    try {
      await body({ api, dump, folder });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** The files of an archive by their paths under its only folder; none where there is no archive. */
async function unpacked(path: string, into: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  await Deno.remove(into, { recursive: true }).catch(() => {});
  if (await Deno.stat(path).catch(() => undefined) === undefined) return files;
  await Deno.mkdir(into);
  const { success, stderr } = await new Deno.Command("tar", {
    args: ["--extract", "--gzip", "--file", path, "--directory", into],
    stderr: "piped",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const [top, ...others] = await Array.fromAsync(Deno.readDir(into));
  assert.match(top!.name, /^network-dra-sysdump-\d{8}-\d{6}$/);
  assert.deepEqual(others, []);
  const read = async (folder: string, under: string) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) await read(join(folder, name), `${under}${name}/`);
      else files.set(under + name, await Deno.readTextFile(join(folder, name)));
    }
  };
  await read(join(into, top!.name), "");
  return files;
}

const named = (name: string) => SCENES.find((scene) => scene.name === name)!.cluster;

Deno.test("sysdump collects objects, logs, statuses and explanations, and says what is in it", () =>
  on(named("missing plugin"), async ({ api, dump }) => {
    serve(api, { log: "a line\n", status: '{"version":1}', lists: CHART });
    const { code, stdout, stderr, files } = await dump();
    assert.match(stdout, /dump\.tar\.gz\n$/);
    assert.match(
      stderr,
      /^reading the cluster's objects\nasking 2 agents\nIt has names and addresses/,
    );
    assert.equal(code, 0);
    const agent = ["current.log", "status.json"];
    assert.deepEqual([...files.keys()].toSorted(), [
      ...["node-1", "node-2"].flatMap((node) =>
        agent.map((file) => `agents/network-dra-${node}/${file}`)
      ),
      "cluster-status.txt",
      "devices.txt",
      "explain/default/web.txt",
      "index.json",
      ...[
        "agent-pods",
        "configmaps",
        "daemonsets",
        "deviceclasses",
        "events",
        "nodes",
        "pods",
        "resourceclaims",
        "resourceclaimtemplates",
        "resourceslices",
      ].map((file) => `objects/${file}.json`),
      "pods.txt",
      "versions.json",
    ]);
    assert.match(files.get("explain/default/web.txt")!, /CNI plugin is missing/);
    assert.match(files.get("cluster-status.txt")!, /^Wrong:\n/);
    const objects = (file: string) => JSON.parse(files.get(`objects/${file}.json`)!).items;
    assert.equal(objects("pods")[0].metadata.name, "web");
    assert.equal(objects("resourceclaims")[0].kind, "ResourceClaim");
    assert.equal(objects("events").length, 1);
    assert.deepEqual(JSON.parse(files.get("versions.json")!).apiServer, { gitVersion: "v1.36.2" });
    const index = JSON.parse(files.get("index.json")!);
    assert.deepEqual(index.missing, []);
    assert.deepEqual(
      index.files.map(({ file }: { file: string }) => file),
      [...files.keys()].toSorted().filter((file) => file !== "index.json"),
    );
    assert.deepEqual(
      api.asked.filter((line) => !line.startsWith("GET ")),
      [],
    );
  }));

Deno.test("sysdump leaves out secrets wherever they stand, and names where it is told to", async (t) => {
  const { cluster, answers } = plantedCluster();
  const all = JSON.stringify({ cluster, answers });
  for (const each of [...SECRETS, ...NAMES]) assert.ok(all.includes(each), `${each}: not planted`);
  for (const redact of [false, true]) {
    await t.step(
      redact ? "--redact" : "without --redact",
      () =>
        on(cluster, async ({ api, dump }) => {
          serve(api, answers);
          const { code, files } = await dump(...redact ? ["--redact"] : []);
          assert.equal(code, 0);
          const all = [...files].map(([path, text]) => `${path}\n${text}`).join("\n");
          for (const secret of [...SECRETS, ...KEY_PEM.split("\n").slice(1, -1)]) {
            assert.ok(!all.includes(secret), `the secret ${secret} is in ${where(files, secret)}`);
          }
          assert.ok(!all.includes("last-applied-configuration"));
          assert.ok(!all.includes("managedFields"));
          for (const name of NAMES) {
            const found = all.toLowerCase().includes(name.toLowerCase());
            assert.equal(found, !redact, `${name} is in ${where(files, name)}`);
          }
          if (!redact) return;
          // The same name has the same placeholder everywhere.
          const [pod] = JSON.parse(files.get("objects/pods.json")!).items;
          const { name, namespace } = pod.metadata;
          assert.match(name, /^pod_\d+$/);
          assert.match(namespace, /^namespace_\d+$/);
          const [event] = JSON.parse(files.get("objects/events.json")!).items;
          assert.equal(event.involvedObject.name, name);
          assert.ok(event.message.includes(`pod ${namespace}/${name}`), event.message);
          assert.ok(files.has(`explain/${namespace}/${name}.txt`));
          const [slice] = JSON.parse(files.get("objects/resourceslices.json")!).items;
          assert.equal(slice.spec.nodeName, pod.spec.nodeName);
          assert.equal(slice.metadata.name, `dra.networking-${pod.spec.nodeName}`);
          const log = [...files].find(([path]) => path.endsWith("current.log"))![1];
          const [line] = log.split("\n");
          assert.equal(JSON.parse(line!).msg, `attached: pod ${namespace}/${name}`);
          const [claim] = JSON.parse(files.get("objects/resourceclaims.json")!).items;
          const [ip] = claim.status.devices[0].networkData.ips;
          assert.match(ip, /^ip_\d+\/24$/);
          assert.ok(log.includes(`address=${ip}`), log);
          assert.ok(log.includes(claim.status.devices[0].networkData.hardwareAddress));
        }),
    );
  }
});

function where(files: ReadonlyMap<string, string>, text: string): string {
  return [...files].filter(([path, each]) => `${path}\n${each}`.includes(text))
    .map(([path, each]) => `${path}: ${each.split("\n").find((line) => line.includes(text))}`)
    .join("\n");
}

Deno.test("sysdump without the rights for logs and exec gives the rest, exit code 3", () =>
  on(named("healthy"), async ({ api, dump }) => {
    serve(api, { lists: CHART });
    const { special } = api;
    api.special = (request, url) =>
      /\/(log|exec)$/.test(url.pathname)
        ? Response.json({ message: `pods${url.pathname.slice(-4)} is forbidden` }, { status: 403 })
        : special(request, url);
    const { code, stderr, files } = await dump();
    assert.equal(code, 3);
    assert.match(
      stderr,
      /^Missing: agents\/network-dra-node-1\/current\.log: you have no right to read the log of pod kube-system\/network-dra-node-1 \(pods\/log is forbidden\)$/m,
    );
    assert.match(
      stderr,
      /^Missing: agents\/\S+\/status\.json: you have no right to run a program/m,
    );
    assert.equal(JSON.parse(files.get("index.json")!).missing.length, 4);
    assert.ok(files.has("objects/resourceclaims.json"));
  }));

Deno.test({
  name: "sysdump of an API server that hangs on one request gives the rest",
  // The answer that nobody waits for comes later.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    on(named("healthy"), async ({ api, dump }) => {
      serve(api, { lists: CHART });
      api.fault = (plural) =>
        plural !== "events" ? undefined : new Promise((resolve) => {
          Deno.unrefTimer(setTimeout(() => resolve(undefined), 3_000));
        });
      const { code, stderr, files } = await dump("--request-timeout", "1s");
      assert.equal(code, 3);
      assert.match(stderr, /^Missing: objects\/events\.json: no answer from http:\S+: timed out/m);
      assert.ok(files.has("objects/resourceclaims.json"));
      const late = await dump("--timeout", "200ms", "--request-timeout", "10s");
      assert.equal(late.code, 3);
      assert.match(late.stderr, /: the time was over$/m);
      assert.ok(late.files.has("index.json"));
    }),
});

Deno.test("sysdump asks for the log before a restart, and for no more than it can hold", () =>
  on(named("healthy"), async ({ api, dump }) => {
    const line = `${"x".repeat(99)}\n`;
    serve(api, { log: line.repeat(50_000), previous: "before\n", lists: CHART });
    const cluster = named("healthy");
    const pods = cluster.pods.map((pod) => {
      const copy = structuredClone(pod) as {
        status: { containerStatuses?: { restartCount: number }[] };
      };
      for (const status of copy.status.containerStatuses ?? []) status.restartCount = 1;
      return copy as typeof pod;
    });
    api.replace({ ...cluster, pods });
    const { code, files } = await dump("--node", "node-2", "--since", "2d");
    assert.equal(code, 0);
    const agents = [...files.keys()].filter((path) => path.startsWith("agents/"));
    assert.deepEqual(agents.toSorted(), [
      "agents/network-dra-node-2/current.log",
      "agents/network-dra-node-2/previous.log",
      "agents/network-dra-node-2/status.json",
    ]);
    assert.equal(files.get("agents/network-dra-node-2/previous.log"), "before\n");
    const log = files.get("agents/network-dra-node-2/current.log")!;
    assert.ok(log.length <= 4 * 1024 * 1024 && log.length > 4 * 1024 * 1024 - 200);
    assert.ok(log.startsWith(line));
    const { files: listed } = JSON.parse(files.get("index.json")!);
    const { cut } = listed.find(({ file }: { file: string }) => file.endsWith("current.log"));
    assert.equal(cut, "only the last 4 MiB");
    assert.ok(api.asked.some((each) => each.includes("sinceSeconds=172800")));
    const nodes = JSON.parse(files.get("objects/nodes.json")!).items;
    assert.equal(nodes.length, 1);
  }));

Deno.test("sysdump says what is wrong, and leaves nothing half made", async () => {
  await on(named("healthy"), async ({ api, dump, folder }) => {
    serve(api, { lists: CHART });
    const unknown = await dump("--node", "nosuch");
    assert.deepEqual([unknown.code, unknown.files.size], [1, 0]);
    assert.match(unknown.stderr, /--node "nosuch": the cluster has no node of this name/);
    const nowhere = await dump("-o", join(folder, "none/dump.tar.gz"));
    assert.equal(nowhere.code, 2);
    api.fault = () => Response.json({ message: "Unauthorized" }, { status: 401 });
    const refused = await dump();
    assert.deepEqual([refused.code, refused.files.size], [1, 0]);
    assert.match(refused.stderr, /does not accept the credentials/);
    const left = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
    assert.deepEqual(left, ["kubeconfig"]);
  });
});

Deno.test("sysdump of a cluster without agents says that there are none", () =>
  on({ ...rawCluster({ resourceslices: [] }), pods: [] }, async ({ api, dump }) => {
    serve(api, { lists: CHART });
    const { code, stderr } = await dump();
    assert.equal(code, 3);
    assert.match(stderr, /^Missing: logs and status of agents: no pods of agents are known$/m);
  }));
