import { join } from "node:path";
import { agentToken } from "./agent_account.ts";
import type { Api, Json, Manifest } from "./api.ts";
import { render } from "./chart.ts";
import { ControlPlane } from "./control_plane.ts";
import { fetchKubernetes, type KubernetesVersion } from "./kubernetes_programs.ts";
import { until } from "./poll.ts";

/** What of the chart is installed: what the API server judges by, and whom. */
const KINDS = [
  ...["CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"],
  ...["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
];
/** Versions of resource.k8s.io that clusters can serve beside v1. */
const OLD_VERSIONS = ["v1beta1", "v1beta2"] as const;

export type ResourceVersion = "v1" | typeof OLD_VERSIONS[number];

/** A control plane without nodes, with the chart's policies for everything but the namespace `free`. */
export class PolicyPlane {
  readonly #plane: ControlPlane;
  readonly policies: readonly Manifest[];
  /** Of resource.k8s.io, which the API server serves. */
  readonly versions: readonly ResourceVersion[];

  private constructor(
    plane: ControlPlane,
    { policies, versions }: {
      readonly policies: readonly Manifest[];
      readonly versions: readonly ResourceVersion[];
    },
  ) {
    this.#plane = plane;
    this.policies = policies;
    this.versions = versions;
  }

  /** @param before objects that are there before the policies */
  static async start(
    version: KubernetesVersion,
    { before }: { readonly before: readonly Manifest[] },
  ): Promise<PolicyPlane> {
    const programs = await fetchKubernetes(version);
    if ("missing" in programs) throw new Error(programs.missing);
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const logs = join(folder, "log");
    await Deno.mkdir(logs);
    const old = OLD_VERSIONS.map((each) => `resource.k8s.io/${each}=true`);
    const plane = await ControlPlane.start({
      ...{ programs, folder, logs },
      apiServerArgs: [`--runtime-config=${old.join(",")}`],
    });
    try {
      return await install(plane.api, before).then((parts) => new PolicyPlane(plane, parts));
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  get api(): Api {
    return this.#plane.api;
  }

  async adminKubeconfig(): Promise<string> {
    return await this.#plane.adminKubeconfig();
  }

  /** The API server as the agent on a node sees it. */
  async apiAsAgentOn(nodeName: string): Promise<Api> {
    return await this.#plane.apiAs(await agentToken(this.api, { nodeName, image: "none" }));
  }

  async stop(): Promise<void> {
    await this.#plane.stop();
  }
}

async function install(api: Api, before: readonly Manifest[]) {
  for (const name of ["judged", "free"]) {
    await api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  for (const name of ["node-1", "node-2"]) {
    await api.apply({ apiVersion: "v1", kind: "Node", metadata: { name } });
  }
  const values = {
    networks: { objects: true },
    parametersPolicy: {
      enabled: true,
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "judged" } },
    },
  };
  const objects = (await render(values)).filter(({ kind }) => KINDS.includes(kind))
    .toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  const [kinds, others] = [objects, objects].map((all, i) =>
    all.filter(({ kind }) => (kind === KINDS[0]) === (i === 0))
  ) as [Manifest[], Manifest[]];
  for (const each of kinds) await api.apply(each);
  await until("the kinds are served", async () => {
    const all = kinds.map(({ metadata: { name } }) =>
      api.get({ kind: "CustomResourceDefinition", name })
    );
    return (await Promise.all(all)).every(({ status }) =>
      status?.conditions?.some(({ type, status }: Json) =>
        type === "Established" && status === "True"
      )
    ) || undefined;
  });
  for (const each of before) await api.apply(each);
  for (const each of others) await api.apply(each);
  const { versions } = await api.request("GET", "/apis/resource.k8s.io");
  return {
    policies: others.filter(({ kind }) => kind === "ValidatingAdmissionPolicy"),
    versions: versions.map(({ version }: Json) => version as string)
      .filter((each: string) =>
        each === "v1" || (OLD_VERSIONS as readonly string[]).includes(each)
      ),
  };
}
