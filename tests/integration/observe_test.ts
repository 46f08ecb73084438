/** What an operator and a user see of the agent: health, readiness, metrics and Events. */
import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Container,
  ContainerSchema,
  type PodSandbox,
  PodSandboxSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import type { ClaimRef } from "../../mod/claim/attachment.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { NriRuntime } from "../../mod/simulator/nri_runtime.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { storeClaim } from "../support/claims.ts";

const driver = "dra.networking";

/** Answers VERSION, and has no address for anyone. */
const BROKEN = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
ADD) echo '{"cniVersion":"1.0.0","code":11,"msg":"no address left"}'; exit 1 ;;
esac
`;

class Node {
  readonly folder: string;
  readonly api = new SimulatedApiServer();
  readonly kubelet: SimulatedKubelet;
  readonly runtime: NriRuntime;
  readonly pods: PodSandbox[] = [];
  readonly containers: Container[] = [];
  agent!: AgentProcess;
  #address = "";

  constructor(folder: string) {
    this.folder = folder;
    this.kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    this.runtime = new NriRuntime({
      socketPath: join(folder, "nri.sock"),
      inventory: () => ({ pods: this.pods, containers: this.containers }),
    });
  }

  async startAgent(listen: string): Promise<void> {
    const { folder } = this;
    const [cniPath] = await fetchCniPlugins();
    this.agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", driver, "--listen", listen],
      ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
      ...["--state-dir", join(folder, "state"), "--cdi-dir", join(folder, "cdi")],
      ...["--kubeconfig", join(folder, "kubeconfig")],
      ...["--cni-path", `${join(folder, "plugins")}:${cniPath}`],
    ]);
  }

  async served(): Promise<void> {
    const { address } = await this.agent.logged("health and metrics are served");
    this.#address = address as string;
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://${this.#address}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async metrics(): Promise<Map<string, number>> {
    const { status, text } = await this.get("/metrics");
    assert.equal(status, 200);
    return new Map(
      text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at).replace(/^network_dra_/, ""), Number(line.slice(at + 1))];
      }),
    );
  }

  /** The numbers named come to be. */
  async counts(expected: Readonly<Record<string, number>>): Promise<Map<string, number>> {
    for (let tries = 0;; tries++) {
      const now = await this.metrics();
      const shown = Object.fromEntries(Object.keys(expected).map((name) => [name, now.get(name)]));
      if (JSON.stringify(shown) === JSON.stringify(expected)) return now;
      if (tries === 200) assert.deepEqual(shown, expected);
      await pause(25);
    }
  }

  async pod(name: string): Promise<PodSandbox> {
    await ip(["netns", "add", name]);
    const netns = `/var/run/netns/${name}`;
    return create(PodSandboxSchema, {
      id: `sandbox-${name}`,
      name,
      uid: `uid-${name}`,
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: netns }] },
    });
  }

  /** A claim of the pod's own, prepared. */
  async claim({ name, uid }: PodSandbox, type: string): Promise<ClaimRef> {
    const networks = [{ name: `lan-${name}`, type, subnet: 1 }];
    const pods = [{ name, uid }];
    const claim = storeClaim(this.api, { name: `claim-${name}`, driver, networks, pods });
    const answers = await this.kubelet.prepare(driver, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
    return claim;
  }

  container({ id }: PodSandbox): Container {
    return create(ContainerSchema, { id: `container-${id}`, podSandboxId: id, name: "main" });
  }

  async event(reason: string) {
    for (let tries = 0; tries < 400; tries++) {
      const found = this.api.events.all().find((event) => event.reason === reason);
      if (found) return found;
      await pause(25);
    }
    throw new Error(`no event ${reason} came`);
  }

  async remove(pod: PodSandbox, claim: ClaimRef): Promise<void> {
    await this.runtime.stopPodSandbox(pod);
    await ip(["netns", "delete", pod.name]);
    const answers = await this.kubelet.unprepare(driver, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("health, readiness, metrics and Events of the agent, from its start on", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const node = new Node(folder);
  await Deno.mkdir(join(folder, "plugins"));
  await Deno.writeTextFile(join(folder, "plugins/broken"), BROKEN, { mode: 0o755 });
  node.api.start();
  await Deno.writeTextFile(join(folder, "kubeconfig"), node.api.kubeconfig());
  await node.kubelet.start();
  // Someone else has the port at first.
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await node.startAgent(`127.0.0.1:${taken.addr.port}`);
  let start = new Map<string, number>();
  try {
    await t.step("a port that is taken is tried again", async () => {
      await node.agent.logged(/^cannot serve health and metrics; trying again/);
      taken.close();
      await node.served();
    });

    await t.step(
      "before the runtime is there: healthy, not ready, every series at zero",
      async () => {
        assert.deepEqual(await node.get("/healthz"), {
          status: 200,
          text: "[+] process: answers\n[+] NRI: not connected; trying again\n",
        });
        const { status, text } = await node.get("/readyz");
        assert.equal(status, 503);
        assert.deepEqual(text.split("\n").map((line) => line.split(":")[0]), [
          "[-] NRI",
          "[-] kubelet",
          "[+] API server",
          "[+] CNI plugins",
          "[+] CDI folder",
          "[+] lead",
          "",
        ]);
        start = await node.metrics();
        const counted = [...start].filter(([name, value]) =>
          value && !/^(process_|build_info)/.test(name)
        );
        assert.deepEqual(counted, [["leads", 1]]);
        for (const plugin of ["macvlan", "broken"]) {
          assert.ok(
            start.has(`cni_operations_total{plugin="${plugin}",command="ADD",result="ok"}`),
          );
        }
        assert.ok(start.get("process_resident_memory_bytes")! > 10_000_000);
        assert.ok(Math.abs(start.get("process_start_time_seconds")! - Date.now() / 1000) < 60);
      },
    );

    await t.step("ready when both sides know the agent", async () => {
      node.runtime.start();
      await node.agent.ready();
      assert.deepEqual(await node.get("/readyz"), {
        status: 200,
        text: "[+] NRI: synchronized\n[+] kubelet: registered\n[+] API server: answers\n" +
          "[+] CNI plugins: there\n[+] CDI folder: there\n[+] lead: leads\n",
      });
      assert.equal(
        (await node.get("/healthz")).text,
        "[+] process: answers\n[+] NRI: connected\n[+] kubelet: running\n[+] devices: running\n" +
          "[+] upkeep: running\n[+] requests: running\n",
      );
      await node.counts({
        'connected{side="NRI"}': 1,
        'connected{side="kubelet"}': 1,
        'reconnects_total{side="NRI"}': 0,
        'nri_hook_duration_seconds_count{event="Synchronize"}': 1,
      });
    });

    await t.step("an attach and its detach are counted", async () => {
      const pod = await node.pod("good");
      const claim = await node.claim(pod, "macvlan");
      await node.runtime.runPodSandbox(pod);
      await node.runtime.createContainer(pod, node.container(pod));
      const attached = await node.counts({
        'attachments{state="attached"}': 1,
        'journal_records{kind="claim"}': 1,
        'journal_records{kind="attachment"}': 1,
        'claim_prepares_total{result="ok"}': 1,
        'gate_wait_seconds_count{outcome="opened"}': 1,
        'nri_hook_duration_seconds_count{event="RunPodSandbox"}': 1,
        'nri_hook_duration_seconds_count{event="CreateContainer"}': 1,
        'cni_operations_total{plugin="macvlan",command="VERSION",result="ok"}': 1,
        'cni_operations_total{plugin="macvlan",command="ADD",result="ok"}': 1,
        'cni_operation_duration_seconds_count{plugin="macvlan",command="ADD"}': 1,
        'status_writes_total{result="applied"}': 1,
        'status_write_retries_total{result="applied"}': 0,
      });
      assert.deepEqual([...attached.keys()], [...start.keys()], "no series came later");
      await node.remove(pod, claim);
      await node.counts({
        'attachments{state="attached"}': 0,
        'attachments{state="detaching"}': 0,
        'journal_records{kind="claim"}': 0,
        'journal_records{kind="attachment"}': 0,
        'claim_unprepares_total{result="ok"}': 1,
        'cni_operations_total{plugin="macvlan",command="DEL",result="ok"}': 1,
        'nri_hook_duration_seconds_count{event="StopPodSandbox"}': 1,
      });
      assert.deepEqual(node.api.events.all(), []);
    });

    await t.step(
      "a failed attach is counted, and the pod has an Event with the cause",
      async () => {
        const pod = await node.pod("bad");
        const claim = await node.claim(pod, "broken");
        await node.runtime.runPodSandbox(pod);
        await assert.rejects(
          node.runtime.createContainer(pod, node.container(pod)),
          /no address left/,
        );
        await node.counts({
          'attachments{state="attach_failed"}': 1,
          'gate_wait_seconds_count{outcome="refused"}': 1,
          'journal_records{kind="attachment"}': 0,
        });
        const series = await node.metrics();
        assert.ok(
          series.get('cni_operations_total{plugin="broken",command="ADD",result="error"}')!,
        );
        const event = await node.event("NetworkAttachFailed");
        assert.deepEqual(event.involvedObject, {
          apiVersion: "v1",
          kind: "Pod",
          namespace: "default",
          name: "bad",
          uid: "uid-bad",
        });
        assert.equal(
          event.message,
          'cannot attach network "lan-bad" (interface net1, claim default/claim-bad): ' +
            'plugin type="broken" name="lan-bad" failed (add): no address left',
        );
        assert.deepEqual([event.type, event.source], ["Warning", {
          component: driver,
          host: "node-1",
        }]);
        // The tries that followed raise its count and make no other.
        await pause(1000);
        assert.equal(node.api.events.all().length, 1);
        await node.remove(pod, claim);
        await node.counts({ 'attachments{state="attach_failed"}': 0 });
      },
    );

    await t.step(
      "a runtime that went and came back is counted, and not ready meanwhile",
      async () => {
        node.runtime.stop();
        for (let tries = 0; (await node.get("/readyz")).status !== 503; tries++) {
          assert.ok(tries < 200, "it stays ready");
          await pause(25);
        }
        await node.counts({ 'connected{side="NRI"}': 0, 'connected{side="kubelet"}': 1 });
        node.runtime.start();
        await node.counts({ 'connected{side="NRI"}': 1, 'reconnects_total{side="NRI"}': 1 });
        assert.equal((await node.get("/readyz")).status, 200);
      },
    );

    await t.step(
      "containers that started without their network: an Event on their pod",
      async () => {
        const pod = await node.pod("late");
        const claim = await node.claim(pod, "macvlan");
        await node.agent.end("SIGKILL");
        node.pods.push(pod);
        node.containers.push(node.container(pod));
        await node.startAgent("");
        await node.agent.ready();
        const event = await node.event("NetworkAttachedLate");
        assert.equal(event.involvedObject.name, "late");
        assert.match(event.message, /^containers started without network "lan-late" .* late$/);
        assert.ok(
          !node.agent.lines.some(({ msg }) => /health and metrics/.test(msg)),
          "--listen ''",
        );
        await node.remove(pod, claim);
      },
    );

    assert.equal(await node.agent.end("SIGTERM"), 0);
  } finally {
    await node.agent.end("SIGKILL");
    await node.kubelet.stop();
    node.runtime.stop();
    await node.api.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
