/** What `deno task build` makes, run where there is nothing else. */
import assert from "node:assert/strict";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { SimulatedNode } from "../../mod/simulator/node.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { AgentProcess } from "../support/agent_process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

Deno.test("the built file runs in an empty environment: version, try, run", async (t) => {
  const [cniPath] = await fetchCniPlugins();
  const built = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "build"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.ok(built.success, new TextDecoder().decode(built.stderr));
  const folder = await Deno.makeTempDir();
  // Alone in a folder, as someone who downloaded it has it.
  const program = join(folder, "network-dra");
  await Deno.copyFile(join(ROOT, "dist/network-dra"), program);
  await Deno.chmod(program, 0o755);
  const home = join(folder, "home");
  await Deno.mkdir(home);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args,
      cwd: "/",
      clearEnv: true,
      env: { HOME: home, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, out: out!, err: err! };
  };
  try {
    await t.step("version", async () => {
      const { code, out } = await run("version");
      assert.equal(code, 0);
      assert.equal(out, `${config.version}\n`);
    });
    await t.step("wrong usage", async () => {
      const { code, err } = await run("run", "--bogus");
      assert.equal(code, 2);
      assert.match(err, /'--bogus'/);
    });
    await t.step("try", async () => {
      const { code, out, err } = await run(
        ...["try", "-o", "json", "--cni-path", cniPath!],
        join(ROOT, "examples/demo-a/demo-a.yaml"),
      );
      assert.equal(code, 0, err);
      assert.match(err, /torn down; nothing is left/);
      const [device] = JSON.parse(out).status.devices;
      assert.deepEqual(device.networkData.ips, ["10.10.1.2/24"]);
    });
    await t.step("run, until SIGTERM", async () => {
      const node = new SimulatedNode({
        name: "n",
        folder,
        driver: "dra.networking",
        step: () => {},
      });
      await node.start();
      const { paths } = node;
      const agent = new AgentProcess([
        ...["--kubelet-dir", paths.kubeletDir, "--nri-socket", paths.nriSocket],
        ...["--state-dir", paths.stateDir, "--cdi-dir", paths.cdiDir],
        ...["--kubeconfig", paths.kubeconfig, "--cni-path", cniPath!],
        ...["--listen", "127.0.0.1:0"],
      ], { program, args: ["run"] });
      try {
        await agent.ready();
        const { address } = await agent.logged("health and metrics are served");
        const metrics = await (await fetch(`http://${address}/metrics`)).text();
        assert.match(metrics, /^network_dra_connected\{side="NRI"\} 1$/m);
        assert.equal(await agent.end("SIGTERM"), 0);
        for (
          const socket of [
            "plugins_registry/dra.networking-reg.sock",
            "plugins/dra.networking/dra.sock",
          ]
        ) {
          await assert.rejects(Deno.lstat(join(paths.kubeletDir, socket)), Deno.errors.NotFound);
        }
      } finally {
        await agent.end("SIGKILL");
        await node.stop();
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
