/** `network-dra status` as an operator runs it, beside an agent that runs, hangs, was killed or is old. */
import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { join } from "node:path";
import { ContainerSchema } from "../../proto/gen/nri/nri_pb.ts";
import type { StatusReport } from "../../mod/cmd/status_report.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentNode, DRIVER } from "../support/agent_node.ts";
import { cli, type CliOutcome } from "../support/cli.ts";

/** ADD waits until the test lets it go on, and fails where the test says so. */
const HELD = (folder: string) =>
  `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
ADD)
  while [ -e ${folder}/hold ]; do sleep 0.05; done
  echo '{"cniVersion":"1.0.0","code":11,"msg":"no address left"}'; exit 1 ;;
esac
`;

const filesOf = async (folder: string): Promise<string[]> => {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) files.push(...await filesOf(path));
    else files.push(`${path} ${(await Deno.lstat(path)).mtime?.getTime()}`);
  }
  return files.toSorted();
};

Deno.test("status while networks are attached, fail, and nobody is there to ask", async (t) => {
  await using node = await AgentNode.start(["--check-interval", "5m"]);
  await Deno.writeTextFile(join(node.plugins, "held"), HELD(node.folder), { mode: 0o755 });
  const places = [
    ...["--state-dir", node.stateDir, "--kubelet-dir", join(node.folder, "kubelet")],
    ...["--driver-name", DRIVER],
  ];
  const status = (...args: string[]) => cli(["status", ...places, ...args]);
  const report = async (...args: string[]): Promise<StatusReport & { code: number }> => {
    const { code, stdout, stderr } = await status(...args, "-o", "json");
    assert.equal(stderr, "");
    return { ...JSON.parse(stdout), code };
  };

  const web = await node.run();
  const broken = await node.prepare({ type: "held" });
  await Deno.writeTextFile(join(node.folder, "hold"), "");

  await t.step("an attached network, with all that is known of it", async () => {
    const { code, problems, agents, attachments, settings, source, devices } = await report(
      web.name,
    );
    assert.deepEqual([code, problems, source], [0, [], "agent"]);
    const [agent] = agents;
    assert.deepEqual([agent!.role, agent!.node, agent!.driver], ["leads", "node-1", DRIVER]);
    assert.deepEqual(agent!.needs.map(({ name, ok }) => `${name} ${ok}`).slice(0, 2), [
      "NRI true",
      "kubelet true",
    ]);
    const [each] = attachments;
    assert.equal(attachments.length, 1);
    assert.deepEqual([each!.pod.name, each!.state, each!.interface], [
      web.name,
      "attached",
      "net1",
    ]);
    const shown = await ip(["-n", web.name, "-j", "-4", "address", "show", "dev", "net1"]);
    const [link] = JSON.parse(shown);
    const inPod = link.addr_info.map(({ local, prefixlen }: Record<string, unknown>) =>
      `${local}/${prefixlen}`
    );
    assert.equal(inPod.length, 1);
    assert.deepEqual(each!.addresses, inPod);
    const [, , mac] = (await ip(["-n", web.name, "-o", "link", "show", "dev", "net1"]))
      .match(/(link\/ether) (\S+)/)!;
    assert.equal(each!.mac, mac);
    assert.ok(Date.now() - Date.parse(each!.since!) < 60_000);
    const setting = settings.find(({ name }) => name === "checkInterval");
    const at = "--check-interval";
    assert.deepEqual(setting, { name: "checkInterval", value: "5m", from: "flag", at });
    assert.ok(devices.some(({ name, attachments }) => name === "cni" && attachments === 1));
  });

  await t.step("for people, by the claim and by the interface too", async () => {
    for (const word of [web.name, `default/${web.name}`, `claim-${web.name}`, web.claim.uid]) {
      const { code, stdout } = await status(word);
      assert.equal(code, 0, stdout);
      assert.match(stdout, new RegExp(`^default/${web.name} +net1 +attached`, "m"));
    }
    const { stdout } = await status("net1", "-o", "wide");
    assert.match(stdout, /^SANDBOXES$/m);
    const { stdout: yaml } = await status("-o", "yaml");
    assert.match(yaml, /^source: agent$/m);
  });

  await t.step("a claim that waits for its pod, and a network that is being attached", async () => {
    const claims = (await report(broken.name)).claims;
    assert.deepEqual(claims.map(({ state, waitsFor }) => [state, waitsFor]), [
      ["prepared", "a sandbox of its pod"],
    ]);
    await node.runtime.runPodSandbox(broken.sandbox);
    node.pods.push(broken.sandbox);
    let waits: string | undefined;
    await node.until(async () => {
      waits = (await report(broken.name)).attachments[0]?.waitsFor;
      return waits === "the CNI plugins: ADD runs";
    }, () => `${waits}`);
    assert.equal((await status(broken.name)).code, 0, "it is under way");
  });

  await t.step(
    "a network that cannot be attached: the cause comes first, exit code 3",
    async () => {
      await Deno.remove(join(node.folder, "hold"));
      const container = create(ContainerSchema, {
        id: "container",
        podSandboxId: broken.sandbox.id,
        name: "main",
      });
      await assert.rejects(node.runtime.createContainer(broken.sandbox, container), /no address/);
      const { code, stdout } = await status();
      assert.equal(code, 3);
      const [first, second] = stdout.split("\n");
      assert.equal(first, "2 attachments, 2 claims: 1 problem");
      assert.ok(second!.startsWith(`  pod default/${broken.name}: cannot attach network "lan-`));
      assert.match(stdout, /no address left/);
      assert.match(stdout, /tr(y|ies) failed in \d+s; waits for /);
      assert.equal((await status(web.name)).code, 0, "the other pod has its network");
      const { problems } = await report(broken.name);
      assert.ok(problems[0]!.tries! >= 1 && problems[0]!.message.includes("no address left"));
    },
  );

  await t.step("names that nobody has, or that are none", async () => {
    const unknown = await status(`${web.name}x`);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, new RegExp(`no pod, claim or interface .*mean "${web.name}"`));
    const cases: [args: string[], code: number, says: RegExp][] = [
      [["a/b/c"], 2, /"a\/b\/c" is not valid; must be the name of a pod or claim/],
      [[""], 2, /"" is not valid/],
      [["--", "-x"], 2, /"-x" is not valid/],
      [["a", "b"], 2, /unexpected argument "b"/],
      [["-o", "xml"], 2, /-o: "xml" is not valid/],
      [["--wacth"], 2, /did you mean --watch/],
    ];
    for (const [args, code, says] of cases) {
      const outcome = await status(...args);
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, says);
      assertNoTrace(outcome);
    }
    const none = await cli(["status", "--state-dir", join(node.folder, "none")]);
    assert.equal(none.code, 2);
    assert.match(none.stderr, /--state-dir \S+\/none: no such folder/);
  });

  await t.step("--watch tells changes until it is ended", async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--allow-all", "--no-check", "main.ts", "status", "--watch", ...places],
      cwd: new URL("../..", import.meta.url).pathname,
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let text = "";
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      const isFirst = text === "";
      text += piece;
      if (isFirst) void node.stop(broken);
      if (text.includes(": gone")) child.kill("SIGTERM");
    }
    await child.status;
    assert.equal(await node.unprepare(broken), "");
    assert.match(text, new RegExp(`pod default/${broken.name}, net1 .*: gone`));
  });

  await t.step("an agent that hangs: said after 5 s, and the records are shown", async () => {
    Deno.kill(node.agent.pid, "SIGSTOP");
    try {
      const outcome = await status();
      assert.equal(outcome.code, 4);
      assert.match(outcome.stdout, /agent: it hangs: nothing came from\s+\S+\s+within\s+5\s+s/);
      assert.match(outcome.stdout, new RegExp(`^default/${web.name} +net1 +attached`, "m"));
      assertNoTrace(outcome);
    } finally {
      Deno.kill(node.agent.pid, "SIGCONT");
    }
  });

  await t.step("no agent: the records are shown, and none is changed", async () => {
    await node.agent.end("SIGKILL");
    await Deno.writeTextFile(join(node.stateDir, "attachments/odd.json"), "{");
    const before = await filesOf(node.stateDir);
    const outcome = await status();
    assert.equal(outcome.code, 4, outcome.stderr);
    assert.match(outcome.stdout, /^1 attachment, 1 claim \(from the records in /m);
    assert.match(outcome.stdout, /agent: no agent that keeps its state in\s+\S+\s+runs/);
    assert.match(outcome.stdout, /cannot read 1 file: attachments\/odd\.json/);
    assert.match(outcome.stdout, new RegExp(`^default/${web.name} +net1 +attached`, "m"));
    const { source, agents, attachments } = await report();
    assert.deepEqual([source, agents.length, attachments.length], ["records", 0, 1]);
    assert.deepEqual(await filesOf(node.stateDir), before);
    const unknown = await status("nobody");
    assert.match(unknown.stderr, /no pod, claim or interface "nobody"[^]*no agent that keeps/);
    await Deno.remove(join(node.stateDir, "attachments/odd.json"));
  });

  await t.step(
    "an agent of an earlier release serves the kubelet and does not answer",
    async () => {
      const path = join(node.folder, "kubelet/plugins", DRIVER, "dra.sock");
      await Deno.remove(path).catch(() => {});
      const old = Deno.listen({ transport: "unix", path });
      try {
        const { code, stdout } = await status();
        assert.equal(code, 4);
        assert.match(
          stdout,
          /an agent serves the kubelet at\s+\S+\/dra\.sock, but tells\s+nothing in/,
        );
        assert.match(stdout, /it is of\s+an earlier release/);
      } finally {
        old.close();
        await Deno.remove(path).catch(() => {});
      }
    },
  );

  await t.step("the next agent takes the dead socket away, and answers at its own", async () => {
    await node.startAgent();
    const sockets = () =>
      [...Deno.readDirSync(join(node.stateDir, "status"))].map(({ name }) => name);
    assert.deepEqual(sockets(), ["agent.sock"]);
    assert.equal((await status()).code, 0);
    await node.stop(web);
    assert.equal(await node.unprepare(web), "");
    await node.agent.end();
    assert.deepEqual(sockets(), [], "it takes its socket away");
  });
});

Deno.test("a stand-by answers beside the agent that leads", async () => {
  const uids = ["4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55", "5f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55"];
  await using node = await AgentNode.start(["--pod-uid", uids[0]!]);
  const pod = await node.run();
  const first = node.agent;
  await node.startAgent("--pod-uid", uids[1]!);
  try {
    await node.agent.logged("leading now");
    let roles: string[] = [];
    await node.until(async () => {
      const { stdout } = await cli(["status", "-o", "json", "--state-dir", node.stateDir]);
      const { agents, attachments, source } = JSON.parse(stdout) as StatusReport;
      roles = agents.map(({ podUid, role }) => `${podUid?.[0]} ${role}`);
      return source === "agent" && roles.length === 2 && attachments[0]?.pod.name === pod.name;
    }, () => roles.join());
    assert.deepEqual(roles, ["5 leads", "4 stands by"]);
  } finally {
    await first.end();
  }
});

function assertNoTrace({ stdout, stderr }: CliOutcome): void {
  assert.doesNotMatch(stdout + stderr, /\n\s+at |Uncaught|file:\/\//);
}
