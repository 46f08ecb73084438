/** What `run` says on a node that has nothing of what it needs, and that it goes on when it comes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { cli } from "../support/cli.ts";

const hostname = "127.0.0.1";

function freePort(): number {
  const listener = Deno.listen({ hostname, port: 0 });
  listener.close();
  return listener.addr.port;
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; !await isSo(); tries++) {
    assert.ok(tries < 2_400, what);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

Deno.test("run names all that the node lacks, waits, and is ready when it is there", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const at = (name: string) => join(folder, name);
  const [listen, apiPort] = [`${hostname}:${freePort()}`, freePort()];
  const kubelet = new SimulatedKubelet({ kubeletDir: at("kubelet") });
  const runtime = new NriRuntime({ socketPath: at("nri.sock") });
  const api = new SimulatedApiServer();
  api.start({ port: apiPort });
  await Deno.writeTextFile(at("kubeconfig"), api.kubeconfig());
  await api.stop();
  // In the way of a folder.
  await Deno.writeTextFile(at("cdi"), "");
  const flags = [
    ...["--node-name", "node-1", "--kubelet-dir", at("kubelet"), "--nri-socket", at("nri.sock")],
    ...["--state-dir", at("state"), "--cdi-dir", at("cdi"), "--kubeconfig", at("kubeconfig")],
    ...["--cni-path", at("plugins"), "--listen", listen],
  ];
  const agent = new AgentProcess(flags);
  const get = async (path: string) => {
    const response = await fetch(`http://${listen}${path}`);
    return { status: response.status, lines: (await response.text()).trimEnd().split("\n") };
  };
  const lacks: [name: string, problem: string, whatToDo: string][] = [
    ["NRI", `the socket ${at("nri.sock")} does not exist`, "--nri-socket"],
    ["kubelet", `the kubelet's folder ${at("kubelet/plugins_registry")} does not exist`, "--kubel"],
    ["API server", `no answer from http://${hostname}:${apiPort}: `, "--kubeconfig"],
    ["CNI plugins", `${at("plugins")} does not exist`, "install CNI plugins"],
    ["CDI folder", `the folder ${at("cdi")} cannot be used: `, "--cdi-dir"],
  ];
  try {
    for (const [name, problem, whatToDo] of lacks) {
      await t.step(`the log names it: ${name}`, async () => {
        await until(
          () =>
            agent.lines.some((line) =>
              line.level === "warn" && line.msg.startsWith(`${name}: ${problem}`) &&
              `${line.whatToDo}`.includes(whatToDo)
            ),
          agent.log,
        );
      });
    }
    await t.step("/readyz names each", async () => {
      const { status, lines } = await get("/readyz");
      assert.equal(status, 503);
      assert.equal(lines.length, lacks.length + 1);
      for (const [i, [name, problem, whatToDo]] of lacks.entries()) {
        assert.ok(lines[i]!.startsWith(`[-] ${name}: ${problem}`), lines[i]!);
        assert.ok(lines[i]!.includes(whatToDo), lines[i]!);
      }
    });
    await t.step("/healthz does not say that NRI runs", async () => {
      assert.deepEqual(await get("/healthz"), {
        status: 200,
        lines: ["[+] process: answers", "[+] NRI: not connected; trying again"],
      });
    });
    await t.step("the command `ready` lists them", async () => {
      const { code, stderr } = await cli(["ready", ...flags]);
      assert.equal(code, 1);
      assert.match(stderr, /^network-dra ready: no agent serves .*: the socket does not exist\n/);
      for (const [name, problem] of lacks) assert.ok(stderr.includes(`[-] ${name}: ${problem}`));
    });
    await t.step("the command `ready` does not take another agent for this one", async () => {
      const { stderr } = await cli([
        "ready",
        ...flags,
        "--pod-uid",
        "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55",
      ]);
      assert.match(stderr, /the agent of a different pod, answers at/);
      assert.doesNotMatch(stderr, /\[-\]/);
    });
    await t.step("each line is logged once in the first 30 seconds", () => {
      for (const [name, problem] of lacks) {
        const said = agent.lines.filter(({ msg, waiting }) =>
          msg.startsWith(`${name}: ${problem}`) && /^[12]?\ds$/.test(`${waiting}`)
        );
        assert.equal(said.length, 1, name);
      }
    });
    await t.step("with all of it the agent is ready", async () => {
      await Deno.mkdir(at("plugins"));
      await Deno.writeTextFile(at("plugins/macvlan"), "#!/bin/sh\n", { mode: 0o755 });
      await Deno.remove(at("cdi"));
      api.start({ port: apiPort });
      runtime.start();
      await kubelet.start();
      await agent.ready();
      for (const [name] of lacks) {
        const met = agent.lines.filter(({ level, msg }) =>
          level === "info" && msg.startsWith(`${name}: `)
        );
        assert.equal(met.length, 1, name);
      }
      const { status, lines } = await get("/readyz");
      assert.deepEqual([status, ...lines], [
        200,
        ...lacks.map(([name], i) =>
          `[+] ${name}: ${["synchronized", "registered", "answers", "there", "there"][i]}`
        ),
        "[+] lead: leads",
      ]);
      assert.equal((await cli(["ready", ...flags])).code, 0);
    });
    const before = agent.lines.length;
    assert.equal(await agent.end("SIGTERM"), 0);
    assert.deepEqual(agent.lines.slice(before).filter(({ level }) => level === "warn"), []);
  } finally {
    await agent.end("SIGKILL");
    await kubelet.stop();
    runtime.stop();
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
