import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { privateNodeObstacle } from "../../mod/simulator/private_node.ts";
import { type RuntimeName, RUNTIMES } from "../support/runtimes.ts";
import { writeImage } from "../../deploy/image/build.ts";
import { fetchNft } from "../support/nft.ts";
import { fetchKubectl } from "../support/kubectl.ts";
import { fetchHelmRender } from "../support/helm_render.ts";
import { fetchEtcd } from "./control_plane.ts";
import { fetchDraOracle } from "./dra_oracle.ts";
import { fetchKubernetes, type KubernetesVersion } from "./kubernetes_programs.ts";

/** What a cluster is made of. */
export interface Releases {
  readonly kubernetes: KubernetesVersion;
  readonly runtime: RuntimeName;
}

/**
 * Brings what a cluster of these releases needs into the cache, once; to be called where the network
 * can be reached. Gives why there can be none here, in words for the user.
 */
export async function fetchParts(
  { kubernetes, runtime }: Releases,
  { progress = console.log }: { readonly progress?: (line: string) => void } = {},
): Promise<string | undefined> {
  const obstacle = await privateNodeObstacle();
  if (obstacle) return obstacle;
  const programs = await fetchKubernetes(kubernetes, { progress });
  if ("missing" in programs) return programs.missing;
  await fetchEtcd({ progress });
  await fetchKubectl({ progress });
  await fetchNft({ progress });
  const helm = await fetchHelmRender({ progress });
  if ("missing" in helm) return helm.missing;
  await writeImage({ progress });
  return await RUNTIMES[runtime].fetch({ progress });
}

/** The same for a control plane without nodes. */
export async function fetchControlPlane(
  kubernetes: KubernetesVersion,
): Promise<string | undefined> {
  const progress = (line: string) => console.log(line);
  const obstacle = await privateNodeObstacle();
  if (obstacle) return obstacle;
  const programs = await fetchKubernetes(kubernetes, { progress });
  if ("missing" in programs) return programs.missing;
  await fetchEtcd({ progress });
  const helm = await fetchHelmRender({ progress });
  return "missing" in helm ? helm.missing : undefined;
}

/** The same for a node where the kubelet's DRA manager drives the agent alone. */
export async function fetchDraManager(kubernetes: KubernetesVersion): Promise<string | undefined> {
  const progress = (line: string) => console.log(line);
  const obstacle = await privateNodeObstacle();
  if (obstacle) return obstacle;
  const oracle = await fetchDraOracle(kubernetes, { progress });
  if ("missing" in oracle) return oracle.missing;
  await fetchCniPlugins({ progress });
  return undefined;
}
