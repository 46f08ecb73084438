/** critest's checks of NRI on a real containerd, with the agent as one of its plugins. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { Containerd } from "../support/containerd.ts";
import { critest, fetchCritest } from "../support/critest.ts";
import { busyboxParts, IMAGE } from "../support/image.ts";
import { removeCgroup } from "../support/runtime_daemon.ts";

/** Milliseconds. */
const LIMIT = 300_000;
/** What containerd may do otherwise, which critest finds and tells by skipping the check. */
const CONTAINERDS_OWN = [
  "should handle StopPodSandbox idempotently and never reuse sandbox",
  "should receive a callback for container created during the Synchronize call",
  "should receive information about all containers without the race condition during initialization",
];

const found = await fetchCritest({ progress: (line) => console.error(line) });
const missing = "missing" in found ? ` (not run: ${found.missing})` : "";

Deno.test({
  name: `critest's checks of NRI pass with the agent connected${missing}`,
  ignore: "missing" in found,
  fn: async (t) => {
    assert.ok("path" in found);
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const runtime = await Containerd.start({ version: "2.1", folder: join(folder, "runtime") });
    const api = new SimulatedApiServer();
    const kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    try {
      const [repository, tag] = IMAGE.replace(/^[^/]+\//, "").split(":") as [string, string];
      const busybox = await Deno.readFile(runtime.busybox);
      runtime.registry.add(repository, tag, busyboxParts(busybox, ["/bin/sh"]));
      api.start();
      api.addNode("node-1");
      await Deno.writeTextFile(join(folder, "kubeconfig"), api.kubeconfig());
      await kubelet.start();
      const agent = new AgentProcess([
        ...["--node-name", "node-1", "--listen", "", "--kubelet-dir", join(folder, "kubelet")],
        ...["--nri-socket", runtime.paths.nri, "--state-dir", join(folder, "state")],
        ...["--cdi-dir", runtime.paths.cdi, "--cni-path", runtime.cniPath],
        ...["--kubeconfig", join(folder, "kubeconfig")],
      ]);
      try {
        await agent.ready();
        const { specs, output } = await critest(found.path, {
          focus: "NRI",
          socket: runtime.paths.socket,
          nri: runtime.paths.nri,
          image: IMAGE,
          folder,
          signal: AbortSignal.timeout(LIMIT),
        });
        assert.ok(specs.length >= 13, output);
        for (const { name, state, message } of specs) {
          const own = state === "skipped" && CONTAINERDS_OWN.includes(name);
          await t.step(own ? `${name}: ${message}` : name, () => {
            if (own) assert.match(message, /^spec discrepancy: containerd/);
            else assert.equal(state, "passed", `${message}\n${output}`);
          });
        }
        // The runtime closes a plugin that is not as it should be; the agent would connect again.
        const synchronized = agent.lines.filter(({ msg }) =>
          msg === "the NRI plugin is synchronized"
        );
        assert.equal(synchronized.length, 1, agent.log);
        const troubles = agent.lines.filter(({ level }) => !/debug|info/i.test(level));
        assert.deepEqual(troubles, []);
      } finally {
        await agent.end();
      }
    } finally {
      const left = await running(folder);
      await kubelet.stop();
      await runtime.stop();
      await api.stop();
      await removeCgroups(left);
    }
  },
});

/** Where containerd makes cgroups for pods that name none, as critest's do. */
const CGROUP = "k8s.io";

/** The sandboxes and containers that run: critest leaves a sandbox. */
async function running(folder: string): Promise<string[]> {
  const tasks = join(folder, "runtime/state/io.containerd.runtime.v2.task", CGROUP);
  return (await Array.fromAsync(Deno.readDir(tasks))).map(({ name }) => name);
}

/** Ends them. Cgroups of others stay. */
async function removeCgroups(ids: readonly string[]): Promise<void> {
  for await (const { name } of Deno.readDir("/sys/fs/cgroup")) {
    const parent = join("/sys/fs/cgroup", name, CGROUP);
    for (const id of ids) await removeCgroup(join(parent, id));
    await Deno.remove(parent).catch(() => {});
  }
}
