/** deploy/helm, rendered as helm does it. */
import assert from "node:assert/strict";
import { plainManifests } from "../../deploy/render.ts";
import { CNI_VERSIONS } from "../../mod/claim/network_list.ts";
import { NETWORK_API, NETWORK_FIELDS } from "../../mod/networks/network_object.ts";
import { INSTALL_PLUGINS } from "../../mod/cmd/commands/install_plugins.ts";
import { WEBHOOK } from "../../mod/cmd/commands/webhook.ts";
import { readCommandLine } from "../../mod/cmd/flag_values.ts";
import {
  agentPod,
  type ApiObject,
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
  trustedDefinitions: ["infra-*"],
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
    [{ networks: { object: true } }, /'\/networks'.*'object' not allowed/],
    [{ networks: { cacheTime: "1h" } }, /'\/networks\/cacheTime'.*'1h'/],
    [
      { config: { networkObjects: true } },
      /config\.networkObjects.*set the value networks\.objects/,
    ],
    [{ config: { policy: { trust: true } } }, /'\/config\/policy'.*'trust' not allowed/],
    [{ config: { policy: { plugins: { tap: "no" } } } }, /'\/config\/policy\/plugins\/tap'/],
    [{ config: { policy: { namespaces: [{ inline: false }] } } }, /missing property 'names'/],
    [{ config: { networkDir: "/n" } }, /config\.networkDir.*set the value networkDir/],
    [{ config: { driverName: "a.b" } }, /config\.driverName.*set the value driverName/],
    [{ config: { logLevel: "info" } }, /config\.logLevel.*set the value log\.level/],
    [{ webhook: { enabled: true } }, /webhook\.enabled needs a certificate/],
    [{ webhook: { enabled: true, certificateSecret: "a" } }, /webhook\.caBundle/],
    [
      { webhook: { enabled: true, certificateSecret: "a", certManager: { enabled: true } } },
      /cannot both be set/,
    ],
    [{ webhook: { failurePolicy: "Ignored" } }, /'\/webhook\/failurePolicy'.*'Ignore', 'Fail'/],
    [{ webhook: { caBundle: "-----BEGIN" } }, /'\/webhook\/caBundle'/],
    [{ config: { nodeName: "n" } }, /config\.nodeName.*from node to node/],
  ];
  for (const [values, message] of wrong) {
    await assert.rejects(renderChart(program, values), { message }, JSON.stringify(values));
  }
});

interface ClusterRole extends ApiObject {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

/** The rules of the agent's ClusterRole for what networks are read from, as text. */
function networkRules(yaml: string): string[] {
  const { rules } = only<ClusterRole>(readObjects(yaml), "ClusterRole");
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    resources.filter((each) => /network|namespace/.test(each))
      .map((each) => `${verbs.join(",")} ${each} ${apiGroups.join()}`)
  );
}

chartTest(
  "networks as objects: the kind, the agent's settings and no more rights than it needs",
  async (program) => {
    const settings = (yaml: string) => {
      const { networkObjects, networkAttachmentDefinitions, networkCacheTime } = configOf(
        agentPod(yaml).agent.args,
        configFile(yaml),
      );
      return [networkObjects, networkAttachmentDefinitions, networkCacheTime];
    };
    const none = await renderChart(program, {});
    assert.deepEqual(settings(none), [false, false, 0]);
    assert.deepEqual(networkRules(none), []);
    assert.ok(readObjects(none).every(({ kind }) => kind !== "CustomResourceDefinition"));
    const both = await renderChart(program, {
      networks: { objects: true, attachmentDefinitions: true, cacheTime: "30m" },
    });
    assert.deepEqual(settings(both), [true, true, 1_800_000]);
    assert.deepEqual(networkRules(both), [
      "get,list,watch networks dra.networking",
      "get,list,watch,create,update,delete networkaddresses dra.networking",
      "get,list,watch namespaces ",
      "get,list,watch network-attachment-definitions k8s.cni.cncf.io",
    ]);
    const kinds = readObjects(both)
      // deno-lint-ignore no-explicit-any
      .filter((each): each is any => each.kind === "CustomResourceDefinition");
    assert.deepEqual(kinds.map(({ metadata }) => metadata.name), [
      "networks.dra.networking",
      "networkaddresses.dra.networking",
    ]);
    for (const { metadata } of kinds) {
      assert.equal(metadata.annotations["helm.sh/resource-policy"], "keep");
    }
    const [kind] = kinds;
    const [version] = kind.spec.versions;
    assert.equal(`${kind.spec.group}/${version.name}`, NETWORK_API);
    const { spec } = version.schema.openAPIV3Schema.properties;
    const described = Object.entries(NETWORK_FIELDS).map(([name, text]) => [
      name,
      text.replaceAll("`", ""),
    ]);
    assert.deepEqual(
      // deno-lint-ignore no-explicit-any
      Object.entries<any>(spec.properties).map(([name, { description }]) => [name, description]),
      described,
      "the chart's schema is that of the agent",
    );
    assert.deepEqual(spec.properties.config.properties.cniVersion.enum, CNI_VERSIONS);
  },
);

interface Webhooks extends ApiObject {
  readonly webhooks: readonly {
    readonly name: string;
    readonly failurePolicy: string;
    readonly timeoutSeconds: number;
    readonly sideEffects: string;
    readonly clientConfig: { readonly caBundle?: string; readonly service: unknown };
    readonly namespaceSelector?: unknown;
    readonly rules: readonly { readonly resources: readonly string[] }[];
    readonly matchConditions: readonly { readonly name: string; readonly expression: string }[];
  }[];
}

/** The objects of the webhook, by kind. */
function ofWebhook(yaml: string) {
  return readObjects(yaml).filter(({ metadata }) =>
    metadata.name.startsWith("network-dra-webhook")
  );
}

chartTest("the webhook: off by default, and with a Secret of one's own", async (program) => {
  assert.deepEqual(ofWebhook(await renderChart(program)), []);
  const yaml = await renderChart(program, {
    driverName: "nets.example",
    networks: { objects: true },
    webhook: {
      enabled: true,
      certificateSecret: "own",
      caBundle: "Q0E=",
      namespaceSelector: { matchLabels: { tier: "web" } },
    },
  });
  assert.deepEqual(ofWebhook(yaml).map(({ kind }) => kind).toSorted(), [
    ...["ClusterRole", "ClusterRoleBinding", "Deployment", "PodDisruptionBudget", "Service"],
    ...["ServiceAccount", "ValidatingWebhookConfiguration"],
  ]);
  const own = ofWebhook(yaml);
  const { rules } = only<ClusterRole>(own, "ClusterRole");
  assert.deepEqual(rules, [{
    apiGroups: ["resource.k8s.io"],
    resources: ["deviceclasses"],
    verbs: ["get", "list", "watch"],
  }]);
  const { webhooks } = only<Webhooks>(own, "ValidatingWebhookConfiguration");
  for (const each of webhooks) {
    assert.deepEqual([each.failurePolicy, each.timeoutSeconds, each.sideEffects], [
      "Ignore",
      2,
      "None",
    ]);
    assert.deepEqual(each.clientConfig, {
      service: {
        name: "network-dra-webhook",
        namespace: "kube-system",
        path: "/validate",
        port: 443,
      },
      caBundle: "Q0E=",
    });
  }
  assert.deepEqual(
    webhooks.map(({ rules, namespaceSelector, matchConditions }) => [
      rules[0]!.resources[0],
      namespaceSelector !== undefined,
      matchConditions.at(-1)!.expression,
    ]),
    [
      ["resourceclaims", true, configures("object.spec.?devices.?config")],
      ["resourceclaimtemplates", true, configures("object.spec.spec.?devices.?config")],
      ["deviceclasses", false, configures("object.?spec.?config")],
      ["networks", false, 'request.operation == "CREATE" || object.spec != oldObject.spec'],
    ],
  );
  // deno-lint-ignore no-explicit-any
  const { spec } = only<any>(own, "Deployment");
  const [webhook] = spec.template.spec.containers;
  assert.equal(webhook.args[0], "webhook");
  assert.deepEqual(readCommandLine(WEBHOOK, webhook.args.slice(1)).flags, {
    listen: { hostname: "::", port: 9443 },
    cert: "/etc/network-dra-tls/tls.crt",
    key: "/etc/network-dra-tls/tls.key",
    driverName: "nets.example",
    config: "/etc/network-dra/config.yaml",
    logLevel: "info",
    logFormat: "text",
  });
  assert.equal(spec.replicas, 2);
  assert.deepEqual(webhook.ports, [{ name: "https", containerPort: 9443 }]);
  assert.deepEqual(spec.template.spec.volumes, [
    { name: "config", configMap: { name: "network-dra" } },
    { name: "certificate", secret: { secretName: "own", defaultMode: 0o440 } },
  ]);
  const { selector } = only<DaemonSet & { spec: { selector: { matchLabels: unknown } } }>(
    readObjects(yaml),
    "DaemonSet",
  ).spec;
  assert.notDeepEqual(spec.selector, selector, "the DaemonSet would take over the webhook's pods");
});

function configures(config: string): string {
  return `${config}.orValue([]).exists(config, ` +
    'config.?opaque.?driver.orValue("") == "nets.example")';
}

chartTest("the webhook: a certificate of cert-manager's", async (program) => {
  const render = async (certManager: Record<string, unknown>) =>
    ofWebhook(
      await renderChart(program, {
        webhook: { enabled: true, certManager: { enabled: true, ...certManager } },
      }),
    );
  const own = await render({});
  // deno-lint-ignore no-explicit-any
  const { spec } = only<any>(own, "Certificate");
  assert.deepEqual(spec.issuerRef, { kind: "Issuer", name: "network-dra-webhook" });
  assert.equal(spec.dnsNames[0], "network-dra-webhook.kube-system.svc");
  assert.equal(spec.secretName, "network-dra-webhook-tls");
  assert.ok(own.some(({ kind }) => kind === "Issuer"));
  // deno-lint-ignore no-explicit-any
  const { metadata, webhooks } = only<any>(own, "ValidatingWebhookConfiguration");
  assert.deepEqual(metadata.annotations, {
    "cert-manager.io/inject-ca-from": "kube-system/network-dra-webhook",
  });
  assert.equal(webhooks.length, 3, "no Networks where the kind is not installed");
  assert.equal(webhooks[0].clientConfig.caBundle, undefined);
  const issuerRef = { kind: "ClusterIssuer", name: "ca" };
  const given = await render({ issuerRef });
  // deno-lint-ignore no-explicit-any
  assert.deepEqual(only<any>(given, "Certificate").spec.issuerRef, issuerRef);
  assert.ok(given.every(({ kind }) => kind !== "Issuer"));
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
    assert.deepEqual(readCommandLine(INSTALL_PLUGINS, init.args.slice(1)).flags, {
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
