import { parseAllDocuments } from "yaml";
import { fetchHelmRender, renderChart } from "../support/helm_render.ts";
import type { Api, Manifest } from "./api.ts";
import { until } from "./poll.ts";

/** Where the chart is installed. */
export const NAMESPACE = "kube-system";
/** The name of its DaemonSet and its ServiceAccount. */
export const NAME = "network-dra";

export type Values = Readonly<Record<string, unknown>>;

/** What the chart renders to with these values, as a user sets them. */
export async function render(values: Values): Promise<Manifest[]> {
  const found = await fetchHelmRender();
  if ("missing" in found) throw new Error(found.missing);
  return parseAllDocuments(await renderChart(found.path, values)).map((each) => each.toJS());
}

/** Applies manifests in their order, as `kubectl apply` does. */
export async function apply(api: Api, manifests: readonly Manifest[]): Promise<void> {
  for (const manifest of manifests) await api.apply(manifest);
  const account = { kind: "ServiceAccount", namespace: NAMESPACE, name: NAME };
  await until("the ServiceAccount is there", () => api.get(account));
}

/** The manifests of objects that are not among others. */
export function withoutThose(
  manifests: readonly Manifest[],
  others: readonly Manifest[],
): Manifest[] {
  const kept = new Set(others.map(identity));
  return manifests.filter((each) => !kept.has(identity(each)));
}

function identity({ kind, metadata: { namespace = "", name } }: Manifest): string {
  return `${kind} ${namespace}/${name}`;
}

/** Deletes what was applied, the last first, as `helm uninstall` does, and keeps what it keeps. */
export async function remove(api: Api, manifests: readonly Manifest[]): Promise<void> {
  for (const { kind, metadata: { name, namespace, annotations } } of [...manifests].reverse()) {
    if (annotations?.["helm.sh/resource-policy"] === "keep") continue;
    await api.delete({ kind, name, namespace });
  }
}
