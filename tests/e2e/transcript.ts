/**
 * What a new user types and sees (`deno task transcript`): installs the agent's image and the chart on a
 * cluster, runs demo-a, updates, uninstalls; printed as it came out. Ends with the exit code 0 only when
 * each command did.
 */
import { dirname, join } from "node:path";
import { IMAGE_FILE, IMAGE_NAME, writeImage } from "../../deploy/image/build.ts";
import { furnishPrivateNode, inPrivateNode } from "../../mod/simulator/private_node.ts";
import { Containerd } from "../support/containerd.ts";
import { fetchHelm } from "../support/helm.ts";
import { fetchKubectl } from "../support/kubectl.ts";
import { NO_AGENT } from "./agents/no_agent.ts";
import { Cluster } from "./cluster.ts";
import { endWithRunner } from "./inside.ts";
import { fetchParts } from "./parts.ts";
import { RELEASES, runTranscript, transcriptCgroup } from "./transcripts.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

const NEXT = `${IMAGE_NAME}-next`;
const NEXT_FILE = "dist/network-dra-image-next.tar";
const [, TAG] = NEXT.split(":");
const CHART = "deploy/helm/network-dra --namespace kube-system";

const COMMANDS = [
  "kubectl get nodes",
  "ctr --namespace k8s.io images import dist/network-dra-image.tar",
  `helm install network-dra ${CHART} --set driverName=poc.dra.networking`,
  "kubectl --namespace kube-system rollout status daemonset/network-dra",
  "kubectl --namespace kube-system get pods --output wide",
  "kubectl --namespace kube-system logs daemonset/network-dra | tail -n 2",
  "kubectl get resourceslices",
  "kubectl apply --server-side -f examples/demo-a/demo-a.yaml",
  "kubectl wait --for=condition=Ready pod/demo-a --timeout=60s",
  "kubectl exec demo-a -- ip -4 addr show net1",
  // The status is written once nothing has changed for half a second.
  "kubectl wait --for=jsonpath='{.status.devices[0].conditions[0].status}'=True resourceclaim/macvlan-eth0-attachment",
  "kubectl get resourceclaim macvlan-eth0-attachment -o yaml | sed -n '/- conditions/,/^    shareID/p'",
  `ctr --namespace k8s.io images import ${NEXT_FILE}`,
  `helm upgrade network-dra ${CHART} --reuse-values --set image.tag=${TAG}`,
  "kubectl --namespace kube-system rollout status daemonset/network-dra",
  "kubectl --namespace kube-system get pods --output wide",
  "kubectl get pod demo-a",
  "kubectl delete pod/demo-a resourceclaim/macvlan-eth0-attachment",
  "helm uninstall network-dra --namespace kube-system",
  "kubectl --namespace kube-system wait pods --all --for=delete --timeout=60s",
];

/** Runs each and prints it with what it printed; gives whether all did well. */
async function typeAll(env: Readonly<Record<string, string>>): Promise<boolean> {
  for (const command of COMMANDS) {
    console.log(`$ ${command}`);
    const { success } = await new Deno.Command("bash", {
      args: ["-o", "pipefail", "-c", `(${command}) 2>&1`],
      cwd: ROOT,
      env,
      stdin: "null",
    }).spawn().status;
    if (!success) return false;
  }
  return true;
}

/** Folder with the programs under the names that the user types. */
async function programs(ctr: string, socket: string): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const helm = await fetchHelm();
  if ("missing" in helm) throw new Error(helm.missing);
  const links = { helm: helm.path, kubectl: await fetchKubectl() };
  for (const [name, path] of Object.entries(links)) await Deno.symlink(path, join(folder, name));
  const script = `#!/bin/sh\nexec ${ctr} --address ${socket} "$@"\n`;
  await Deno.writeTextFile(join(folder, "ctr"), script, { mode: 0o755 });
  return folder;
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    void endWithRunner();
    await furnishPrivateNode();
    const cluster = await Cluster.start({
      ...RELEASES,
      cgroup: transcriptCgroup(),
      startAgent: () => Promise.resolve(NO_AGENT),
    });
    try {
      const { runtime } = cluster;
      if (!(runtime instanceof Containerd)) throw new Error("ctr is containerd's");
      const folder = await programs(runtime.ctr, runtime.paths.socket);
      const success = await typeAll({
        PATH: `${folder}:${Deno.env.get("PATH")}`,
        HOME: dirname(folder),
        KUBECONFIG: await cluster.adminKubeconfig(),
      });
      return success ? 0 : 1;
    } finally {
      await cluster.stop();
    }
  }
  const helm = await fetchHelm({ progress: console.error });
  const obstacle = await fetchParts(RELEASES, { progress: console.error }) ??
    ("missing" in helm ? helm.missing : undefined);
  if (obstacle) {
    console.error(`there is no transcript: ${obstacle}`);
    return 1;
  }
  await writeImage({ output: IMAGE_FILE });
  await writeImage({ name: NEXT, output: join(ROOT, NEXT_FILE) });
  return await runTranscript(import.meta.filename!) ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
