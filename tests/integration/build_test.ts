/** What `deno task build` makes, run where there is nothing else. */
import assert from "node:assert/strict";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { bundle } from "../../deploy/executable/bundle.ts";
import { checkExecutable, compile } from "../../deploy/executable/compile.ts";
import { checkPin } from "../../deploy/executable/pins.ts";
import { type Target, targetOf } from "../../deploy/executable/targets.ts";
import { help } from "../../mod/cmd/help.ts";
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
      assert.match(err, /^network-dra run: unknown flag --bogus\n/);
    });
    await t.step("help and completion", async () => {
      assert.deepEqual(await run(), { code: 0, out: `${help()}\n`, err: "" });
      const { code, out } = await run("completion", "bash");
      assert.equal(code, 0);
      assert.match(out, /complete -F _network_dra network-dra\n$/);
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

Deno.test("a build fails if its result does not run", async (t) => {
  const folder = await Deno.makeTempDir();
  const output = join(folder, "network-dra");
  const own = targetOf(undefined);
  const other = targetOf(own.architecture === "amd64" ? "arm64" : "amd64");
  const build = (target: Target) => compile({ target, output, progress: () => {} });
  await bundle({ progress: () => {} });
  Deno.env.set("DENORT_BIN", Deno.execPath());
  try {
    await t.step("Deno itself in the place of its base runtime", async () => {
      await assert.rejects(
        build(own),
        /was made but does not run: .* Is DENORT_BIN the base runtime/,
      );
      await assert.rejects(Deno.stat(output), Deno.errors.NotFound);
    });
    await t.step("a base runtime by DENORT_BIN for another machine", async () => {
      await assert.rejects(
        build(other),
        new RegExp(
          `DENORT_BIN .* cannot be used with --target ${other.architecture}: unset it, and put ` +
            `denort-${other.triple}.zip .* at .*/dl/release/v${Deno.version.deno}/denort-`,
        ),
      );
    });
    await t.step("an executable for another machine than was asked for", async () => {
      await assert.rejects(checkExecutable(Deno.execPath(), other), /not for arm64|not for amd64/);
    });
    await t.step("a tool that is not the pinned one", async () => {
      await Deno.writeTextFile(output, "not esbuild");
      await assert.rejects(
        checkPin(output, { tool: "esbuild", target: own, progress: () => {} }),
        /is not the esbuild .* of deploy\/executable\/pins.json/,
      );
    });
  } finally {
    Deno.env.delete("DENORT_BIN");
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the target is this machine's where builders name none", () => {
  assert.equal(targetOf("").machine, Deno.build.arch);
  assert.equal(targetOf("arm64").triple, "aarch64-unknown-linux-gnu");
  assert.throws(() => targetOf("s390x"), /--target "s390x": must be amd64 or arm64/);
});
