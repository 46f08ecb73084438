/** deploy/helm, rendered as helm does it. */
import assert from "node:assert/strict";
import { plainManifests } from "../../deploy/render.ts";
import { parseInstallOptions } from "../../mod/cmd/install_plugins.ts";
import {
  agentPod,
  configFile,
  configOf,
  type DaemonSet,
  only,
  readObjects,
} from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";

const PLAIN = new URL("../../deploy/manifests/network-dra.yaml", import.meta.url);

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

chartTest("deploy/manifests is what the chart renders to by default", async (program) => {
  assert.equal(
    await Deno.readTextFile(PLAIN),
    await plainManifests(program),
    "run: deno task manifests",
  );
});

/** All that a policy can say. */
const POLICY = {
  trustClaims: false,
  inline: true,
  networks: ["lan-*"],
  reservedNetworks: ["cbr0"],
  refusedAddresses: ["10.96.0.0/12"],
  capabilities: { mac: false },
  plugins: {
    portmap: true,
    vlan: { vlanId: [7, { from: 100, to: 199 }], master: [{ allocated: true }] },
  },
  ipam: { dhcp: false },
  namespaces: [{ names: ["infra-*"], trustClaims: true }],
};

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
    netnsDir: "/data/netns",
    cniPath: "/opt/cni/bin:/usr/lib/cni",
    stateDir: "/data/state",
    cdiDir: "",
    networkDir: "/etc/cni/networks",
    pluginRoot: "container",
    config: { cniTimeout: "1m", policy: POLICY },
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
    netnsDir: "/data/netns",
    cniPath: ["/opt/cni/bin", "/usr/lib/cni"],
    stateDir: "/data/state",
    cdiDir: "",
    networkDir: "/etc/cni/networks",
    policy: POLICY,
    cniTimeout: 60_000,
    sysfsDir: "/host/sys",
  });
  assert.deepEqual(agent.readinessProbe.httpGet, { host: "::1", port: 9000, path: "/readyz" });
  assert.equal(agent.image, "registry.example/agent:v9");
  assert.deepEqual(agent.volumeMounts.map(({ mountPath }) => mountPath), [
    "/data/kubelet/plugins/nets.example",
    "/data/kubelet/plugins_registry",
    "/run/other",
    "/data/netns",
    "/data/state",
    "/etc/cni/networks",
    "/opt/cni/bin",
    "/usr/lib/cni",
    "/var/lib/cni",
    "/run/cni",
    "/host/sys",
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
    [{ driverName: "4net.example" }, /'\/driverName'.*'4net\.example'/],
    [{ driverName: "network.dra.example-company.com" }, /it can have at most 27 characters/],
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
    [{ pluginRoot: "host" }, /'\/pluginRoot'.*'node', 'container'/],
    [{ config: { chrootDir: "/x" } }, /config\.chrootDir.*set the value pluginRoot/],
    [{ cniPlugins: { install: true } }, /'\/cniPlugins\/image'.*minLength/],
    [{ cniPlugins: { image: 1 } }, /'\/cniPlugins\/image'.*want string/],
    [{ securityContextConstraints: "A b" }, /'\/securityContextConstraints'/],
    [{ privileged: "no" }, /'\/privileged'.*want boolean/],
    [{ resources: { limit: {} } }, /'\/resources'.*'limit' not allowed/],
    [{ tolerations: {} }, /'\/tolerations'.*want array/],
    [{ config: "cniTimeout: 1m" }, /'\/config'.*want object/],
    [{ networkDir: "networks" }, /'\/networkDir'/],
    [{ config: { policy: { trust: true } } }, /'\/config\/policy'.*'trust' not allowed/],
    [{ config: { policy: { plugins: { tap: "no" } } } }, /'\/config\/policy\/plugins\/tap'/],
    [{ config: { policy: { namespaces: [{ inline: false }] } } }, /missing property 'names'/],
    [{ config: { networkDir: "/n" } }, /config\.networkDir.*set the value networkDir/],
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

chartTest(
  "plugins in the agent's own root: the node's folders one by one, fewer privileges",
  async (program) => {
    const { pod, agent } = agentPod(await renderChart(program, { pluginRoot: "container" }));
    assert.deepEqual([pod.hostNetwork, pod.hostPID, pod.hostIPC], [true, undefined, undefined]);
    assert.deepEqual(agent.securityContext, {
      runAsUser: 0,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "SYS_ADMIN", "NET_RAW", "DAC_OVERRIDE"] },
      seccompProfile: { type: "RuntimeDefault" },
      seLinuxOptions: { type: "spc_t" },
    });
    const { chrootDir, sysfsDir } = configOf(agent.args, { "/etc/network-dra/config.yaml": "" });
    assert.deepEqual([chrootDir, sysfsDir], ["", "/host/sys"]);
    const pathOf = (name: string) => pod.volumes.find((volume) => volume.name === name)?.hostPath;
    for (
      const [mountPath, path, readOnly, type] of [
        ["/opt/cni/bin", "/opt/cni/bin", true, "Directory"],
        ["/var/lib/cni", "/var/lib/cni", undefined, "DirectoryOrCreate"],
        ["/run/cni", "/run/cni", undefined, "DirectoryOrCreate"],
        ["/host/sys", "/sys", true, "Directory"],
      ] as const
    ) {
      const mount = agent.volumeMounts.find((mount) => mount.mountPath === mountPath);
      assert.ok(mount, mountPath);
      assert.equal(mount.readOnly, readOnly, mountPath);
      assert.deepEqual(pathOf(mount.name), { path, type });
    }
    assert.ok(pod.volumes.every(({ hostPath }) => hostPath?.path !== "/"));
  },
);

chartTest(
  "cniPlugins installs what a node lacks, from an image without a shell",
  async (program) => {
    const values = {
      cniPath: "/data/cni:/opt/cni/bin",
      cniPlugins: { install: true, image: "registry.example/plugins:1", path: "/usr/lib/cni" },
    };
    const { pod, agent } = agentPod(await renderChart(program, values));
    const [init, ...others] = pod.initContainers!;
    assert.ok(init && others.length === 0);
    assert.equal(init.image, agent.image);
    assert.deepEqual(init.args.slice(0, 1), ["install-plugins"]);
    assert.deepEqual(parseInstallOptions(init.args.slice(1)), {
      from: "/plugins/usr/lib/cni",
      to: "/node-plugins",
    });
    assert.deepEqual(init.securityContext.capabilities, { drop: ["ALL"] });
    assert.deepEqual(init.volumeMounts, [
      { name: "plugins", mountPath: "/plugins", readOnly: true },
      { name: "node-plugins", mountPath: "/node-plugins" },
    ]);
    assert.deepEqual(pod.volumes.filter(({ name }) => /plugins/.test(name)), [
      {
        name: "plugins",
        image: { reference: "registry.example/plugins:1", pullPolicy: "IfNotPresent" },
      },
      { name: "node-plugins", hostPath: { path: "/data/cni", type: "DirectoryOrCreate" } },
    ]);
    const without = agentPod(await renderChart(program)).pod as unknown as Record<string, unknown>;
    assert.equal(without.initContainers, undefined);
  },
);

chartTest("privileged takes the place of capabilities and profiles", async (program) => {
  const { agent } = agentPod(await renderChart(program, { privileged: true }));
  assert.deepEqual(agent.securityContext, {
    runAsUser: 0,
    readOnlyRootFilesystem: true,
    privileged: true,
  });
});
