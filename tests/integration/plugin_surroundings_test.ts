/** What a CNI plugin finds when the agent runs it: its environment, its descriptors, its folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { storeClaim } from "../support/claims.ts";
import { create } from "@bufbuild/protobuf";
import { PodSandboxSchema } from "../../proto/gen/nri/nri_pb.ts";

const driver = "dra.networking";
const SECRET = "the-agents-token-must-not-be-here";

/** Writes down what it finds. The shell opens this file as descriptor 255 or 10, and closes it for what it runs. */
const SNOOPER = (folder: string) =>
  `#!/bin/sh
cat /proc/self/environ > ${folder}/$CNI_COMMAND.environ
ls -l /proc/self/fd > ${folder}/$CNI_COMMAND.fds
grep -E '^(Umask|NoNewPrivs)' /proc/self/status > ${folder}/$CNI_COMMAND.status
cat > ${folder}/$CNI_COMMAND.stdin
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
ADD) echo '{"cniVersion":"1.0.0","interfaces":[{"name":"net1","sandbox":"'$CNI_NETNS'"}]}' ;;
esac
`;

function readLink(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}

Deno.test("a plugin gets PATH, CNI's variables and Go's settings, three pipes, and nothing of the agent", async (t) => {
  // What whoever runs the tests left open for all that they start; nobody does that to the agent.
  const fromOutside = new Set(
    [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => Number(name) > 2).map(
      ({ name }) => {
        return `${name} -> ${readLink(`/proc/self/fd/${name}`)}`;
      },
    ),
  );
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const found = join(folder, "found");
  await Deno.mkdir(found);
  await Deno.mkdir(join(folder, "plugins"));
  const api = new SimulatedApiServer();
  api.start();
  const kubeconfig = JSON.parse(api.kubeconfig());
  kubeconfig.users[0].user.token = SECRET;
  await Deno.writeTextFile(join(folder, "kubeconfig"), JSON.stringify(kubeconfig));
  const kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
  await kubelet.start();
  const runtime = new NriRuntime({ socketPath: join(folder, "nri.sock") });
  runtime.start();
  await Deno.writeTextFile(join(folder, "plugins/snooper"), SNOOPER(found), { mode: 0o755 });
  const agent = new AgentProcess([
    ...["--node-name", "node-1", "--driver-name", driver, "--listen", "127.0.0.1:0"],
    ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
    ...["--state-dir", join(folder, "state"), "--cdi-dir", join(folder, "cdi")],
    ...["--kubeconfig", join(folder, "kubeconfig"), "--cni-path", join(folder, "plugins")],
  ]);
  try {
    await agent.ready();
    await ip(["netns", "add", "snooped"]);
    const pods = [{ name: "p", uid: "uid-p" }];
    const networks = [{ name: "lan", type: "snooper", subnet: 1, config: { ipam: {} } }];
    const claim = storeClaim(api, { name: "a", driver, networks, pods });
    await kubelet.registered(driver);
    assert.equal((await kubelet.prepare(driver, [claim]))[claim.uid]?.error, "");
    const pod = create(PodSandboxSchema, {
      id: "sandbox-1",
      name: "p",
      uid: "uid-p",
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: "/var/run/netns/snooped" }] },
    });
    await runtime.runPodSandbox(pod);
    await agent.logged(/^attached network/);
    // From here on the agent holds the namespace by a descriptor, which the DEL must not inherit.
    await runtime.stopPodSandbox(pod);
    await ip(["netns", "delete", "snooped"]);
    await agent.logged(/^detached network/);
    assert.equal((await kubelet.unprepare(driver, [claim]))[claim.uid]?.error, "");

    for (const command of ["VERSION", "ADD", "DEL"]) {
      await t.step(command, async () => {
        const read = (what: string) => Deno.readTextFile(join(found, `${command}.${what}`));
        const names = (await read("environ")).split("\0").filter(Boolean).map((line) =>
          line.split("=")[0]!
        );
        // The shell that runs this plugin adds these of its own.
        const own = names.filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name));
        const cni = [
          "CNI_ARGS",
          "CNI_COMMAND",
          "CNI_CONTAINERID",
          "CNI_IFNAME",
          "CNI_NETNS",
          "CNI_PATH",
        ];
        const go = ["GOGC", "GOMAXPROCS", "GOMEMLIMIT"];
        const wanted = [...command === "VERSION" ? cni.slice(1) : cni, ...go, "PATH"];
        assert.deepEqual(own.toSorted(), wanted.toSorted());
        const descriptors = (await read("fds")).split("\n").filter((line) => line.includes("->"))
          .map((line) => line.split(/ +/).slice(8).join(" "));
        const inherited = descriptors.filter((line) => !/ -> \/proc\/\d+\/fd$/.test(line))
          // ls writes to the file that the shell opened for it.
          .filter((line) => !line.includes(`${command}.fds`))
          .filter((line) => !fromOutside.has(line));
        assert.deepEqual(
          inherited.map((line) => line.replace(/\[\d+\]/, "")).toSorted(),
          ["0 -> pipe:", "2 -> pipe:"],
          descriptors.join("\n"),
        );
        for (const what of ["environ", "stdin", "fds"]) {
          assert.ok(!(await read(what)).includes(SECRET), `the token stands in ${what}`);
        }
      });
    }
    assert.equal(await agent.end(), 0);
  } finally {
    await agent.end("SIGKILL");
    await kubelet.stop();
    runtime.stop();
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
