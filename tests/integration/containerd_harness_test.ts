import assert from "node:assert/strict";
import { CONTAINERD, Containerd, type ContainerdVersion } from "../support/containerd.ts";

for (const version of Object.keys(CONTAINERD) as ContainerdVersion[]) {
  Deno.test(`containerd ${version} runs a pod on the cluster's network and leaves nothing`, async () => {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const containerd = await Containerd.start({ version, folder });
    try {
      const pod = { name: "p", uid: crypto.randomUUID() };
      const sandbox = await containerd.cri.runPodSandbox(pod);
      const container = await containerd.cri.runContainer(sandbox, pod);
      assert.match(await containerd.cri.exec(container, "ip", "addr", "show", "eth0"), /10\.77\./);
      await containerd.cri.stopPodSandbox(sandbox);
      await containerd.cri.removePodSandbox(sandbox);
    } finally {
      await containerd.stop();
    }
  });
}
