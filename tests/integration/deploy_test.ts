/** deploy/: the plain manifests, the systemd unit; what belongs to them elsewhere. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import config from "../../deno.json" with { type: "json" };
import {
  agentPod,
  configFile,
  configOf,
  type DaemonSet,
  only,
  readObjects,
} from "../support/deployment.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MANIFESTS = await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml"));
const UNIT = await Deno.readTextFile(join(ROOT, "deploy/systemd/network-dra.service"));

Deno.test("the manifests hold these objects and no others", () => {
  const objects = readObjects(MANIFESTS).map(({ apiVersion, kind, metadata }) =>
    `${apiVersion} ${kind} ${[metadata.namespace, metadata.name].filter(Boolean).join("/")}`
  );
  assert.deepEqual(objects.sort(), [
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy network-dra",
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy network-dra-events",
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding network-dra",
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding network-dra-events",
    "apps/v1 DaemonSet kube-system/network-dra",
    "rbac.authorization.k8s.io/v1 ClusterRole network-dra",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding network-dra",
    "resource.k8s.io/v1 DeviceClass host-interface",
    "resource.k8s.io/v1 DeviceClass network-interface",
    "v1 ConfigMap kube-system/network-dra",
    "v1 ServiceAccount kube-system/network-dra",
  ]);
});

Deno.test("the agent may do this and nothing else", () => {
  const { rules } = only(readObjects(MANIFESTS), "ClusterRole") as unknown as { rules: unknown };
  assert.deepEqual(rules, [
    { apiGroups: [""], resources: ["nodes"], verbs: ["get"] },
    { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
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
  assert.deepEqual(configOf(agent.args, configFile(MANIFESTS)), {
    ...configOf(["run"]),
    chrootDir: "/host",
    sysfsDir: "/host/sys",
  });
  const field = (name: string, fieldPath: string) => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  assert.deepEqual(agent.env, [
    field("NODE_NAME", "spec.nodeName"),
    field("POD_UID", "metadata.uid"),
    { name: "NETWORK_DRA_STATE_DIR", value: configOf(agent.args, configFile(MANIFESTS)).stateDir },
  ]);
});

Deno.test("the DaemonSet mounts what the agent uses, folders at the same path inside", () => {
  const { pod, agent } = agentPod(MANIFESTS);
  const { kubeletDir, driverName, nriSocket, stateDir, cdiDir, sysfsDir, chrootDir } = configOf(
    agent.args,
    configFile(MANIFESTS),
  );
  const mounts = new Map(agent.volumeMounts.map((mount) => [mount.mountPath, mount]));
  for (
    const [folder, readOnly] of [
      // Not those of other drivers.
      [join(kubeletDir, "plugins", driverName), false],
      [join(kubeletDir, "plugins_registry"), false],
      [join(nriSocket, ".."), true],
      ["/var/run/netns", true],
      [stateDir, false],
      [cdiDir, false],
    ] as const
  ) {
    const mount = mounts.get(folder) ?? assert.fail(`${folder} is not mounted`);
    assert.equal(mount.readOnly ?? false, readOnly, folder);
    const { hostPath } = pod.volumes.find(({ name }) => name === mount.name)!;
    assert.equal(hostPath?.path, folder);
    // A socket or file that is recreated would be another one than the one that is mounted.
    assert.match(hostPath.type ?? "", /^Directory(OrCreate)?$/, folder);
    mounts.delete(folder);
  }
  // Plugins write leases, locks and kernel settings there.
  const root = mounts.get(chrootDir) ?? assert.fail(`${chrootDir} is not mounted`);
  assert.equal(root.readOnly, undefined);
  assert.equal(pod.volumes.find(({ name }) => name === root.name)!.hostPath?.path, "/");
  mounts.delete(chrootDir);
  assert.equal(sysfsDir, join(chrootDir, "sys"));
  assert.deepEqual([...mounts.keys()], ["/etc/network-dra"]);
  const propagated = agent.volumeMounts.filter((mount) => mount.mountPropagation !== undefined);
  assert.deepEqual(propagated.map(({ name, mountPropagation }) => [name, mountPropagation]), [
    ["netns", "HostToContainer"],
    ["node", "HostToContainer"],
  ]);
});

Deno.test("the DaemonSet grants no more than plugins need", () => {
  const { pod, agent } = agentPod(MANIFESTS);
  assert.deepEqual(agent.securityContext, {
    runAsUser: 0,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: {
      drop: ["ALL"],
      add: ["NET_ADMIN", "SYS_ADMIN", "NET_RAW", "DAC_OVERRIDE", "SYS_CHROOT"],
    },
    seccompProfile: { type: "RuntimeDefault" },
    seLinuxOptions: { type: "spc_t" },
  });
  assert.deepEqual([pod.hostNetwork, pod.hostPID, pod.hostIPC], [true, true, undefined]);
});

Deno.test("the probes ask where the agent listens", () => {
  const { agent } = agentPod(MANIFESTS);
  const { listen } = configOf(agent.args, configFile(MANIFESTS));
  for (
    const [probe, path] of [
      ["livenessProbe", "/healthz"],
      ["readinessProbe", "/readyz"],
    ] as const
  ) {
    const { host, port, ...rest } = agent[probe].httpGet;
    assert.deepEqual({ hostname: host, port }, listen, probe);
    assert.deepEqual(rest, { path }, probe);
  }
});

Deno.test("the startup probe asks for the socket of the agent that it starts", () => {
  const { agent } = agentPod(MANIFESTS);
  const [program, command, ...flags] = agent.startupProbe.exec.command;
  assert.deepEqual([program, command], ["/network-dra", "ready"]);
  const { driverName, kubeletDir, listen } = configOf(agent.args, configFile(MANIFESTS));
  const asked = configOf(["run", ...flags]);
  assert.deepEqual(
    [asked.driverName, asked.kubeletDir, asked.listen],
    [driverName, kubeletDir, listen],
  );
});

Deno.test("an update ends a node's old agent when the new one is ready", () => {
  const { updateStrategy } = only<DaemonSet>(readObjects(MANIFESTS), "DaemonSet").spec;
  assert.deepEqual(updateStrategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
});

Deno.test("nothing takes the agent from a node before the pods that need it", () => {
  const { template } = only<DaemonSet>(readObjects(MANIFESTS), "DaemonSet").spec;
  const { annotations } = template.metadata as { readonly annotations: Record<string, string> };
  assert.equal(annotations["cluster-autoscaler.kubernetes.io/enable-ds-eviction"], "false");
  const { priorityClassName, tolerations } = template.spec as unknown as Record<string, unknown>;
  assert.equal(priorityClassName, "system-node-critical");
  assert.deepEqual(tolerations, [{ operator: "Exists" }]);
});

Deno.test("the systemd unit's command is one that the agent takes", () => {
  const [program, ...args] = UNIT.match(/^ExecStart=(.+)$/m)![1]!.split(" ");
  assert.equal(program, "/usr/local/bin/network-dra");
  const { kubeconfig, ...config } = configOf(args);
  assert.equal(kubeconfig, "/etc/network-dra/kubeconfig");
  assert.deepEqual(config, configOf(["run"]));
  const writable = UNIT.match(/^ReadWritePaths=.+$/mg)!.join(" ");
  for (const folder of ["plugins", "plugins_registry"]) {
    assert.ok(writable.includes(join(config.kubeletDir, folder)), folder);
  }
  assert.ok(writable.includes(config.cdiDir.replace("/var/run", "/run")), config.cdiDir);
  assert.ok(UNIT.includes(`\nStateDirectory=${config.stateDir.replace("/var/lib/", "")}\n`));
});

Deno.test("the systemd unit grants the capabilities of the DaemonSet, which must enter the node's root", () => {
  const { capabilities } = agentPod(MANIFESTS).agent.securityContext;
  assert.equal(
    UNIT.match(/^CapabilityBoundingSet=(.+)$/m)?.[1],
    capabilities?.add?.filter((name) => name !== "SYS_CHROOT").map((name) => `CAP_${name}`)
      .join(" "),
  );
});

const hasSystemd = await new Deno.Command("systemd-analyze", { args: ["--version"] }).output()
  .then(() => true, () => false);
Deno.test({
  name: `systemd takes the unit${hasSystemd ? "" : " (not run: systemd-analyze is not here)"}`,
  ignore: !hasSystemd,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      // It wants the program to be there.
      const file = join(folder, "network-dra.service");
      await Deno.writeTextFile(file, UNIT.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
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
