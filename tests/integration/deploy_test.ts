/** deploy/: the Helm chart, the manifests rendered from it, the systemd unit. */
import assert from "node:assert/strict";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { plainManifests } from "../../deploy/render.ts";
import { parseRunConfig, type RunConfig } from "../../mod/cmd/run_config.ts";
import { agentPod, type DaemonSet, only, readObjects } from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";
import { parse } from "yaml";

const ROOT = new URL("../..", import.meta.url).pathname;
const MANIFESTS = await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml"));

const helm = await fetchHelmRender({ progress: (line) => console.error(line) });

function chartTest(name: string, body: (program: string) => Promise<void>) {
  const missing = "missing" in helm ? helm.missing : undefined;
  Deno.test({
    name: missing === undefined ? name : `${name} (not run: ${missing})`,
    ignore: missing !== undefined,
    fn: async () => {
      assert.ok("path" in helm);
      await body(helm.path);
    },
  });
}

/** What the agent makes of a container's arguments, which begin with the command. */
function configOf(
  args: readonly string[],
  files: Readonly<Record<string, string>> = {},
): RunConfig {
  const [command, ...flags] = args;
  assert.equal(command, "run");
  return parseRunConfig(flags, {
    env: () => undefined,
    readFile: (path) => files[path] ?? assert.fail(`${path} is not mounted`),
    hostname: () => "node-1",
    cores: 2,
  });
}

/** The configuration file as the agent's container has it. */
function configFile(yaml: string): Record<string, string> {
  const { data } = only(readObjects(yaml), "ConfigMap") as unknown as {
    readonly data: Readonly<Record<string, string>>;
  };
  return { "/etc/network-dra/config.yaml": data["config.yaml"]! };
}

chartTest("deploy/manifests is what the chart renders to by default", async (program) => {
  assert.equal(MANIFESTS, await plainManifests(program), "run: deno task manifests");
});

chartTest("the chart takes every value to where it belongs", async (program) => {
  const yaml = await renderChart(program, {
    image: { repository: "registry.example/agent", tag: "v9", pullPolicy: "Always" },
    imagePullSecrets: [{ name: "pull" }],
    driverName: "nets.example",
    pluginIndex: "07",
    log: { level: "debug", format: "json" },
    concurrency: 3,
    listen: "[::]:9000",
    kubeletDir: "/data/kubelet",
    nriSocket: "/run/other/nri.sock",
    netnsDir: "/run/netns",
    cniPath: "/opt/cni/bin:/usr/lib/cni",
    stateDir: "/data/state",
    cdiDir: "",
    config: { cniTimeout: "1m" },
    deviceClasses: false,
    resources: { limits: { memory: "1Gi" } },
    priorityClassName: "first",
    nodeSelector: { networks: "yes" },
    tolerations: [{ key: "gpu", operator: "Exists" }],
    affinity: { nodeAffinity: {} },
  });
  const { pod, agent } = agentPod(yaml);
  assert.deepEqual(configOf(agent.args, configFile(yaml)), {
    ...configOf(["run"]),
    driverName: "nets.example",
    pluginIndex: "07",
    logLevel: "debug",
    logFormat: "json",
    concurrency: 3,
    listen: { hostname: "::", port: 9000 },
    kubeletDir: "/data/kubelet",
    nriSocket: "/run/other/nri.sock",
    cniPath: ["/opt/cni/bin", "/usr/lib/cni"],
    stateDir: "/data/state",
    cdiDir: "",
    cniTimeout: 60_000,
  });
  assert.deepEqual(agent.readinessProbe.httpGet, { host: "::1", port: 9000, path: "/readyz" });
  assert.equal(agent.image, "registry.example/agent:v9");
  assert.deepEqual(agent.volumeMounts.map(({ mountPath }) => mountPath), [
    "/data/kubelet/plugins",
    "/data/kubelet/plugins_registry",
    "/run/other",
    "/run/netns",
    "/data/state",
    "/opt/cni/bin",
    "/usr/lib/cni",
    "/var/lib/cni",
    "/run/cni",
    "/etc/network-dra",
  ]);
  const { priorityClassName, nodeSelector, tolerations, affinity, imagePullSecrets } =
    pod as unknown as Record<string, unknown>;
  assert.deepEqual({ priorityClassName, nodeSelector, tolerations, affinity, imagePullSecrets }, {
    priorityClassName: "first",
    nodeSelector: { "kubernetes.io/os": "linux", networks: "yes" },
    tolerations: [{ key: "gpu", operator: "Exists" }],
    affinity: { nodeAffinity: {} },
    imagePullSecrets: [{ name: "pull" }],
  });
  assert.ok(readObjects(yaml).every(({ kind }) => kind !== "DeviceClass"));
  assert.doesNotMatch(
    yaml,
    /\bdra\.networking\b/,
    "the default name of the driver is left somewhere",
  );
});

chartTest("the chart refuses wrong values and says which", async (program) => {
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ bogus: 1 }, /'bogus' not allowed/],
    [{ image: { tga: "1" } }, /'\/image'.*'tga' not allowed/],
    [{ image: { tag: "a:b" } }, /'\/image\/tag'/],
    [{ driverName: "Example" }, /'\/driverName'.*'Example'/],
    [{ pluginIndex: 53 }, /'\/pluginIndex'.*want string/],
    [{ pluginIndex: "5" }, /'\/pluginIndex'.*'5'/],
    [{ log: { level: "loud" } }, /'\/log\/level'.*'debug', 'info', 'warn', 'error'/],
    [{ concurrency: 2000 }, /'\/concurrency'.*1,024/],
    [{ listen: "" }, /'\/listen'/],
    [{ listen: "localhost:1" }, /'\/listen'.*'localhost:1'/],
    [{ kubeletDir: "kubelet" }, /'\/kubeletDir'.*'kubelet'/],
    [{ stateDir: "/a/" }, /'\/stateDir'.*'\/a\/'/],
    [{ cniPath: "/a::/b" }, /'\/cniPath'.*'\/a::\/b'/],
    [{ nriSocket: `/${"n".repeat(107)}` }, /'\/nriSocket'.*107/],
    [{ privileged: "no" }, /'\/privileged'.*want boolean/],
    [{ resources: { limit: {} } }, /'\/resources'.*'limit' not allowed/],
    [{ tolerations: {} }, /'\/tolerations'.*want array/],
    [{ config: "cniTimeout: 1m" }, /'\/config'.*want object/],
    [{ config: { driverName: "a.b" } }, /config\.driverName.*set the value driverName/],
    [{ config: { logLevel: "info" } }, /config\.logLevel.*set the value log\.level/],
    [{ config: { nodeName: "n" } }, /config\.nodeName.*from node to node/],
  ];
  for (const [values, message] of wrong) {
    await assert.rejects(renderChart(program, values), { message }, JSON.stringify(values));
  }
});

chartTest("the agent's pods are replaced when the settings file changes", async (program) => {
  const template = async (values: Record<string, unknown>) =>
    only<DaemonSet>(readObjects(await renderChart(program, values)), "DaemonSet").spec.template;
  const [before, after] = [await template({}), await template({ config: { cniTimeout: "1m" } })];
  assert.deepEqual(before.spec, after.spec);
  assert.notDeepEqual(before.metadata, after.metadata);
});

chartTest("privileged takes the place of capabilities and profiles", async (program) => {
  const { agent } = agentPod(await renderChart(program, { privileged: true }));
  assert.deepEqual(agent.securityContext, {
    runAsUser: 0,
    readOnlyRootFilesystem: true,
    privileged: true,
  });
});

Deno.test("the manifests hold these objects and no others", () => {
  const objects = readObjects(MANIFESTS).map(({ apiVersion, kind, metadata }) =>
    `${apiVersion} ${kind} ${[metadata.namespace, metadata.name].filter(Boolean).join("/")}`
  );
  assert.deepEqual(objects.sort(), [
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy network-dra",
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding network-dra",
    "apps/v1 DaemonSet kube-system/network-dra",
    "rbac.authorization.k8s.io/v1 ClusterRole network-dra",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding network-dra",
    "resource.k8s.io/v1 DeviceClass host-interface",
    "resource.k8s.io/v1 DeviceClass network-interface",
    "v1 ConfigMap kube-system/network-dra",
    "v1 ServiceAccount kube-system/network-dra",
  ]);
});

Deno.test("the agent may do this and no more", () => {
  const { rules } = only(readObjects(MANIFESTS), "ClusterRole") as unknown as { rules: unknown };
  assert.deepEqual(rules, [
    { apiGroups: [""], resources: ["nodes"], verbs: ["get"] },
    { apiGroups: ["resource.k8s.io"], resources: ["resourceclaims"], verbs: ["get"] },
    {
      apiGroups: ["resource.k8s.io"],
      resources: ["resourceclaims/status"],
      verbs: ["patch", "update"],
    },
    {
      apiGroups: ["resource.k8s.io"],
      resources: ["resourceclaims/driver"],
      resourceNames: ["dra.networking"],
      verbs: ["associated-node:patch", "associated-node:update"],
    },
    {
      apiGroups: ["resource.k8s.io"],
      resources: ["resourceslices"],
      verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
    },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  ]);
});

Deno.test("the DaemonSet's arguments say what the agent's defaults say", () => {
  const { agent } = agentPod(MANIFESTS);
  assert.deepEqual(configOf(agent.args, configFile(MANIFESTS)), configOf(["run"]));
  assert.deepEqual(agent.env, [{
    name: "NODE_NAME",
    valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } },
  }]);
});

Deno.test("the DaemonSet mounts what the agent uses, folders at the same path inside", () => {
  const { pod, agent } = agentPod(MANIFESTS);
  const { kubeletDir, nriSocket, cniPath, stateDir, cdiDir } = configOf(
    agent.args,
    configFile(MANIFESTS),
  );
  const mounts = new Map(agent.volumeMounts.map((mount) => [mount.mountPath, mount]));
  for (
    const [folder, readOnly] of [
      [join(kubeletDir, "plugins"), false],
      [join(kubeletDir, "plugins_registry"), false],
      [join(nriSocket, ".."), true],
      ["/var/run/netns", true],
      [stateDir, false],
      [cdiDir, false],
      ...cniPath.map((path) => [path, true] as const),
      ["/var/lib/cni", false],
      ["/run/cni", false],
    ] as const
  ) {
    const mount = mounts.get(folder) ?? assert.fail(`${folder} is not mounted`);
    assert.equal(mount.readOnly ?? false, readOnly, folder);
    const { hostPath } = pod.volumes.find(({ name }) => name === mount.name)!;
    assert.equal(hostPath?.path, folder);
    // A socket or file that is made anew would be another one than the one that is mounted.
    assert.match(hostPath.type ?? "", /^Directory(OrCreate)?$/, folder);
    mounts.delete(folder);
  }
  assert.deepEqual([...mounts.keys()], ["/etc/network-dra"]);
  const propagated = agent.volumeMounts.filter((mount) => mount.mountPropagation !== undefined);
  assert.deepEqual(propagated.map(({ name, mountPropagation }) => [name, mountPropagation]), [
    ["netns", "HostToContainer"],
  ]);
});

Deno.test("the DaemonSet grants no more than plugins need", () => {
  const { pod, agent } = agentPod(MANIFESTS);
  assert.deepEqual(agent.securityContext, {
    runAsUser: 0,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "SYS_ADMIN", "NET_RAW"] },
    seccompProfile: { type: "RuntimeDefault" },
    seLinuxOptions: { type: "spc_t" },
  });
  assert.deepEqual([pod.hostNetwork, pod.hostPID, pod.hostIPC], [true, undefined, undefined]);
});

Deno.test("the probes ask where the agent listens", () => {
  const { agent } = agentPod(MANIFESTS);
  const { listen } = configOf(agent.args, configFile(MANIFESTS));
  for (
    const [probe, path] of [
      ["startupProbe", "/healthz"],
      ["livenessProbe", "/healthz"],
      ["readinessProbe", "/readyz"],
    ] as const
  ) {
    const { host, port, ...rest } = agent[probe].httpGet;
    assert.deepEqual({ hostname: host, port }, listen, probe);
    assert.deepEqual(rest, { path }, probe);
  }
});

Deno.test("one agent a node: an update ends the old one first", () => {
  const { updateStrategy } = only<DaemonSet>(readObjects(MANIFESTS), "DaemonSet").spec;
  assert.deepEqual(updateStrategy.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
});

Deno.test("the systemd unit's command is one that the agent takes", async () => {
  const unit = await Deno.readTextFile(join(ROOT, "deploy/systemd/network-dra.service"));
  const [program, ...args] = unit.match(/^ExecStart=(.+)$/m)![1]!.split(" ");
  assert.equal(program, "/usr/local/bin/network-dra");
  const { kubeconfig, ...config } = configOf(args);
  assert.equal(kubeconfig, "/etc/network-dra/kubeconfig");
  assert.deepEqual(config, configOf(["run"]));
  const writable = unit.match(/^ReadWritePaths=.+$/mg)!.join(" ");
  for (const folder of ["plugins", "plugins_registry"]) {
    assert.ok(writable.includes(join(config.kubeletDir, folder)), folder);
  }
  assert.ok(writable.includes(config.cdiDir.replace("/var/run", "/run")), config.cdiDir);
  assert.ok(unit.includes(`\nStateDirectory=${config.stateDir.replace("/var/lib/", "")}\n`));
});

Deno.test("the systemd unit grants the capabilities of the DaemonSet", async () => {
  const unit = await Deno.readTextFile(join(ROOT, "deploy/systemd/network-dra.service"));
  const { capabilities } = agentPod(MANIFESTS).agent.securityContext;
  assert.equal(
    unit.match(/^CapabilityBoundingSet=(.+)$/m)?.[1],
    capabilities?.add.map((name) => `CAP_${name}`).join(" "),
  );
});

const hasSystemd = await new Deno.Command("systemd-analyze", { args: ["--version"] }).output()
  .then(() => true, () => false);
Deno.test({
  name: `systemd takes the unit${hasSystemd ? "" : " (not run: systemd-analyze is not here)"}`,
  ignore: !hasSystemd,
  fn: async () => {
    const unit = await Deno.readTextFile(join(ROOT, "deploy/systemd/network-dra.service"));
    const folder = await Deno.makeTempDir();
    try {
      // It wants the program to be there.
      const file = join(folder, "network-dra.service");
      await Deno.writeTextFile(file, unit.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
      const { code, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", "--man=no", file],
      }).output();
      const said = new TextDecoder().decode(stderr).split("\n")
        .filter((line) => line.includes("network-dra.service"));
      assert.deepEqual({ code, said }, { code: 0, said: [] });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("chart and image bear the version of the agent, which the Deno of this machine builds", async () => {
  const read = (path: string) => Deno.readTextFile(join(ROOT, path));
  const chart = parse(await read("deploy/helm/network-dra/Chart.yaml"));
  assert.deepEqual([chart.version, chart.appVersion], [config.version, config.version]);
  const image = await read("Containerfile");
  assert.ok(image.includes(`image.version="${config.version}"`));
  assert.ok(image.includes(`denoland/deno:${Deno.version.deno} `));
});

Deno.test("the kind configuration turns NRI and CDI on and no feature gates", async () => {
  const kind = parse(await Deno.readTextFile(join(ROOT, "examples/kind.yaml")));
  assert.equal(kind.kind, "Cluster");
  assert.equal(kind.featureGates, undefined);
  assert.equal(kind.runtimeConfig, undefined);
  const patches = kind.containerdConfigPatches.join("\n");
  assert.match(patches, /io\.containerd\.nri\.v1\.nri"\]\s+disable = false/);
  assert.match(patches, /enable_cdi = true/);
});
