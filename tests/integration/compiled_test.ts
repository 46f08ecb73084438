/**
 * What `deno compile` makes of the agent's warden and confinement, in the image's root without a
 * shell, /tmp and HOME. The agent itself needs a newer Deno than the one that can compile everywhere.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { compileFlags } from "../../deploy/executable/flags.ts";
import { IMAGE_FILE } from "../../deploy/image/build.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import { Container, layOutRoot } from "../support/container.ts";
import { denoCompile } from "../support/deno_compile.ts";
import { agentPod } from "../support/deployment.ts";
import { readImage } from "../support/image.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const PROBE = join(ROOT, "tests/support/compiled_probe.ts");
const { pod, agent } = agentPod(
  await Deno.readTextFile(join(ROOT, "deploy/manifests/network-dra.yaml")),
);

async function run(program: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** A root folder of a node, with what the pod mounts of it, in which plugins run. */
async function makeNode(folder: string): Promise<void> {
  const mounted = pod.volumes.flatMap(({ hostPath }) => hostPath ? [hostPath.path] : []);
  for (const path of [...mounted, "/proc", "/sys", "/opt/cni/bin", "/var/lib/cni"]) {
    await Deno.mkdir(join(folder, path), { recursive: true });
  }
  const kubeconfig = {
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:6443" } }],
  };
  await Deno.writeTextFile(join(folder, "var/run/nri/kubeconfig"), JSON.stringify(kubeconfig));
  const busybox = await fetchDebianPackage("busybox-static", { cache: cacheFolder() });
  await Deno.copyFile(join(busybox, "bin/busybox"), join(folder, "opt/cni/bin/cat"));
}

async function firstLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string | undefined> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) return text;
  }
  return undefined;
}

Deno.test("a compiled program is confined as the agent is, in the image's root", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const at = (...names: string[]) => join(folder, ...names);
  await using mounts = new AsyncDisposableStack();
  try {
    await run(Deno.execPath(), [
      ...["bundle", "--quiet", "--platform=deno", "--minify", "--output", at("probe.js"), PROBE],
    ]);
    const { layers: [base], ...rest } = readImage(await Deno.readFile(IMAGE_FILE));
    await layOutRoot(at("root"), { ...rest, layers: [base!] });
    await Deno.remove(at("root/tmp"));
    await denoCompile(at("probe.js"), {
      flags: compileFlags(),
      output: at("root/network-dra"),
      folder: at("deno"),
    });
    await makeNode(at("node"));
    await run("mount", ["--bind", "/proc", at("node/proc")]);
    mounts.defer(() => run("umount", [at("node/proc")]));
    await Deno.mkdir(at("config"));
    await Deno.writeTextFile(at("config/config.yaml"), "{}\n");
    const container = new Container({
      root: at("root"),
      pod,
      agent,
      node: (path) => at("node", path),
      config: at("config"),
      env: {
        NODE_NAME: "node-1",
        SECRET: "1",
        KUBECONFIG: "/var/run/nri/kubeconfig",
        // The one place where a cache of compiled code could be written.
        TMPDIR: "/host/var/lib/cni",
      },
    });
    const { program, args } = container.command("/network-dra", agent.args);
    for (const [signal, code] of [["SIGTERM", 5], ["SIGINT", 6]] as const) {
      await t.step(`what it may do, until ${signal}`, async () => {
        const child = new Deno.Command(program, {
          args,
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const said = new Response(child.stderr).text();
        const line = await firstLine(child.stdout);
        if (line === undefined) throw new Error(await said);
        child.kill(signal);
        assert.equal((await child.status).code, code, await said);
        assert.deepEqual(JSON.parse(line), {
          "its records": "allowed",
          "its variable": "allowed",
          "another variable": "denied",
          "any file": "denied",
          "the folder of its code": "denied",
          "what launches plugins": "denied",
          "a program": "denied",
          "a worker with more permissions": "denied",
          "another host": "denied",
          // A compiled program loads nothing that is not in it.
          "code from elsewhere": "Module not found: http://198.51.100.1/x.js",
          "more permissions": "denied",
          "a plugin, by the warden": "0 said to the plugin",
          "another program, by the warden": "/network-dra is not a plugin of /opt/cni/bin",
        });
        await Deno.remove(at("node/var/lib/network-dra/claims"));
      });
    }
    await t.step("it leaves no compiled code for the next one to load", async () => {
      assert.deepEqual(await Array.fromAsync(Deno.readDir(at("node/var/lib/cni"))), []);
    });
  } finally {
    await mounts.disposeAsync();
    await Deno.remove(folder, { recursive: true });
  }
});
