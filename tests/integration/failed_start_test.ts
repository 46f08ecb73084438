/** A start of `run` that fails leaves the node as it was. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { AgentProcess } from "../support/agent_process.ts";

/** Everything below a folder, with the kind of each. */
function tree(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? [`${path}/`, ...tree(path)] : [path];
  }).toSorted();
}

interface Case {
  /** Flags, given the folder of the case. */
  readonly flags: (at: (name: string) => string) => string[];
  readonly prepare?: (at: (name: string) => string) => Promise<void>;
  readonly says: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  "a kubeconfig that is not there": {
    flags: (at) => ["--kubeconfig", at("nope")],
    says: /nope/,
  },
  "a kubeconfig without a cluster": {
    flags: (at) => ["--kubeconfig", at("empty")],
    prepare: (at) => Deno.writeTextFile(at("empty"), "{}"),
    says: /the current context has no cluster/,
  },
  "a root folder in which no program runs": {
    flags: (at) => ["--chroot-dir", at("root")],
    prepare: (at) => Deno.mkdir(at("root")),
    says: /--chroot-dir|root/,
  },
  "a link in place of the folder of the kubelet's sockets": {
    flags: () => [],
    prepare: async (at) => {
      await Deno.mkdir(at("elsewhere"));
      await Deno.mkdir(at("kubelet"));
      await Deno.symlink(at("elsewhere"), at("kubelet/plugins_registry"));
    },
    says: /plugins_registry is a symbolic link/,
  },
  "a file in place of a socket": {
    flags: () => [],
    prepare: async (at) => {
      await Deno.mkdir(at("kubelet/plugins_registry"), { recursive: true });
      await Deno.writeTextFile(at("kubelet/plugins_registry/dra.networking-reg.sock"), "");
    },
    says: /is not a socket: remove it/,
  },
};

Deno.test("a start that fails leaves nothing behind", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const api = new SimulatedApiServer();
  api.start();
  try {
    for (const [name, { flags, prepare, says }] of Object.entries(CASES)) {
      await t.step(name, async () => {
        const place = await Deno.makeTempDir({ dir: folder });
        const at = (path: string) => join(place, path);
        await Deno.writeTextFile(at("kubeconfig"), api.kubeconfig());
        await prepare?.(at);
        const runtime = new NriRuntime({ socketPath: at("nri.sock") });
        runtime.start();
        const before = tree(place);
        const agent = new AgentProcess([
          ...["--node-name", "node-1", "--listen", "", "--cni-path", at("plugins")],
          ...["--kubelet-dir", at("kubelet"), "--nri-socket", at("nri.sock")],
          ...["--state-dir", at("lib/state"), "--cdi-dir", at("var/cdi")],
          ...["--kubeconfig", at("kubeconfig"), ...flags(at)],
        ]);
        try {
          assert.match(await agent.done, /^code [12]$/, agent.log);
          assert.notEqual(await agent.end(), 0);
          assert.match(agent.log, says);
          assert.deepEqual(tree(place), before);
        } finally {
          await agent.end("SIGKILL");
          runtime.stop();
        }
      });
    }
  } finally {
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
