/** The values files of deploy/helm for distributions of Kubernetes, each rendered and looked at. */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { parse } from "yaml";
import type { RunConfig } from "../../mod/cmd/run_config.ts";
import { isOpenName } from "../../mod/inventory/offered_links.ts";
import {
  type AgentContainer,
  agentPod,
  configFile,
  configOf,
  readObjects,
} from "../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";

const CHART = new URL("../../deploy/helm/network-dra", import.meta.url).pathname;
const PAGES = new URL("../../docs/how-to/distributions", import.meta.url).pathname;

const helm = await fetchHelmRender({ progress: (line) => console.error(line) });

interface Rendered {
  readonly agent: AgentContainer;
  readonly objects: ReturnType<typeof readObjects>;
}

/** What a distribution's nodes differ in; the agent has the defaults of everything else. */
interface Distribution {
  readonly settings: Partial<RunConfig>;
  /** Interfaces that claims must not get. */
  readonly kept?: readonly string[];
  readonly look?: (rendered: Rendered) => void;
}

const DISTRIBUTIONS: Readonly<Record<string, Distribution>> = {
  kubeadm: { settings: { cniPath: ["/opt/cni/bin", "/usr/lib/cni"] } },
  k3s: { settings: { cniPath: ["/var/lib/rancher/k3s/data/cni"] } },
  rke2: { settings: {} },
  microk8s: { settings: { cniPath: ["/var/snap/microk8s/current/opt/cni/bin"] } },
  talos: { settings: {} },
  openshift: {
    settings: { cniPath: ["/var/lib/cni/bin"] },
    kept: ["br-ex", "br-int", "ovn-k8s-mp0", "genev_sys_6081", "ovs-system"],
    look: ({ objects, agent }) => {
      const binding = objects.find(({ kind }) => kind === "RoleBinding") as unknown as Binding;
      assert.equal(binding.metadata.namespace, "kube-system");
      assert.equal(binding.roleRef.name, "system:openshift:scc:privileged");
      assert.deepEqual(binding.subjects, [
        { kind: "ServiceAccount", name: "network-dra", namespace: "kube-system" },
      ]);
      const { seLinuxOptions } = agent.securityContext as { readonly seLinuxOptions?: unknown };
      assert.deepEqual(seLinuxOptions, { type: "spc_t" });
    },
  },
  kind: {
    settings: {},
    look: ({ agent }) => {
      const { imagePullPolicy } = agent as unknown as { readonly imagePullPolicy: string };
      assert.equal(imagePullPolicy, "Never");
    },
  },
  eks: { settings: {}, kept: ["eth0", "ens5", "ens6", "eni0a1b2c3d4e5", "vlan.eth.1"] },
  gke: {
    settings: { cniPath: ["/home/kubernetes/bin"], stateDir: "/var/lib/google/network-dra" },
  },
  aks: { settings: {}, kept: ["eth0", "enP30832s1"] },
};

interface Binding {
  readonly metadata: { readonly namespace: string };
  readonly roleRef: { readonly name: string };
  readonly subjects: unknown;
}

for (const [name, { settings, kept = [], look }] of Object.entries(DISTRIBUTIONS)) {
  const missing = "missing" in helm ? helm.missing : undefined;
  Deno.test({
    name: `values-${name}.yaml${missing === undefined ? "" : ` (not run: ${missing})`}`,
    ignore: missing !== undefined,
    fn: async () => {
      assert.ok("path" in helm);
      const values = parse(await Deno.readTextFile(join(CHART, `values-${name}.yaml`)));
      const yaml = await renderChart(helm.path, values);
      const { pod, agent } = agentPod(yaml);
      const { interfaces, ...others } = configOf(agent.args, configFile(yaml));
      const { interfaces: _, ...defaults } = configOf(["run"]);
      assert.deepEqual(others, {
        ...defaults,
        chrootDir: "/host",
        sysfsDir: "/host/sys",
        ...settings,
      });
      for (const link of kept) {
        assert.ok(!isOpenName(link, interfaces), `${link} is not kept from claims`);
      }
      const state = agent.volumeMounts.find(({ mountPath }) => mountPath === others.stateDir);
      const volume = pod.volumes.find((each) => each.name === state?.name);
      assert.equal(volume?.hostPath?.path, others.stateDir);
      const objects = readObjects(yaml);
      if (look) look({ agent, objects });
      else assert.ok(objects.every(({ kind }) => kind !== "RoleBinding"));
    },
  });
}

Deno.test("every values file has its test and its page", async () => {
  const files = (await Array.fromAsync(Deno.readDir(CHART))).map(({ name }) => name);
  const names = files.flatMap((name) => basename(name).match(/^values-(.+)\.yaml$/)?.[1] ?? []);
  assert.deepEqual(names.toSorted(), Object.keys(DISTRIBUTIONS).toSorted());
  const index = await Deno.readTextFile(join(PAGES, "index.md"));
  for (const name of names) {
    assert.ok(index.includes(`values-${name}.yaml`), name);
    const [comment = ""] = (await Deno.readTextFile(join(CHART, `values-${name}.yaml`))).split(
      "\n",
    );
    const [, page] = comment.match(/: docs\/how-to\/distributions\/(\S+\.md)\.$/) ?? [];
    assert.ok(page, `values-${name}.yaml: ${comment}`);
    const text = await Deno.readTextFile(join(PAGES, page));
    assert.ok(text.includes(`values-${name}.yaml`), page);
  }
});
