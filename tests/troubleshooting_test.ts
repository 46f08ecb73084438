/** The words that docs/how-to/troubleshooting.md tells readers to look for are those of the code. */
import assert from "node:assert/strict";

const ROOT = new URL("..", import.meta.url);

/** By the module that says it, or by the test that has it from Kubernetes or a runtime. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  "mod/simulator/candidates.ts": ["CEL runtime error: "],
  "mod/simulator/scheduler.ts": ["cannot allocate all claims"],
  "mod/simulator/kubelet.ts": ["is not registered"],
  "mod/claim/plan.ts": [
    "no configuration applies to it; add one for this driver to spec.devices.config of the claim, or to spec.config of its device class",
  ],
  "mod/claim/policy.ts": ["refused by policy: ", "in the agent's configuration file"],
  "mod/claim/policy_judge.ts": ["claims may not use the "],
  "mod/claim/policy_builtin.ts": ["it changes the node's packet filter"],
  "mod/cni/plugins.ts": [
    "it is in none of the folders ",
    "install it on the node, or start the agent with --cni-path",
  ],
  "mod/networks/cluster_networks.ts": ["there is no network "],
  "mod/cni/network_files.ts": ["in the files of "],
  "mod/claim/allocated_interface.ts": [
    "is not the interface of the allocated device ",
    "or select the device of ",
  ],
  "mod/agent/attachments/ready_gate.ts": [" is not ready: ", "till being attached"],
  "mod/agent/attachments/effects.ts": [
    "the pod already has an interface ",
    ", which this claim did not create (another network plugin, such as Multus, may have): use a different interface name",
  ],
  "mod/claim/interface_names.ts": ["is requested twice in the pod"],
  "mod/agent/attachments/cni_operations.ts": [
    " uses the host's network, which the plugins would change: use hostNetwork: false, or a pod without the claim",
  ],
  "mod/agent/attachments/exclusive_interface.ts": [
    " until that pod ends: host-device moves an ",
    "interface into one pod at a time",
  ],
  "mod/netns/host_namespaces.ts": [
    "the container runtime keeps the network namespace at ",
    ", where the agent does not look: start it with --netns-dir ",
    "(the chart's value netnsDir)",
  ],
  "mod/cni/program.ts": ["t did not end within "],
  "tests/integration/agent_runtimes_test.ts": ["unresolvable CDI devices"],
  "mod/agent/attachments/reports.ts": [
    "NetworkAttachFailed",
    "NetworkDetachFailed",
    "started without ",
    ": attaching it late",
  ],
  "mod/agent/upkeep/check_loop.ts": [
    "recreate the pod to attach it again",
    "attaching it again",
    "it is attached again when the device is back",
    "NetworkDeviceRemoved",
    "NetworkInterfaceLost",
  ],
  "mod/agent/status/status_writer.ts": ["cannot write the status of "],
  "mod/agent/devices/node_devices.ts": ["cannot publish the node's devices; trying again"],
};

/** As one line, and pieces of text that code joins with `+` as one. */
function plain(text: string): string {
  return text.replaceAll(/["`] \+\s+["`]/g, "").replaceAll(/\s+/g, " ");
}

Deno.test("docs/how-to/troubleshooting.md has the words of the code", async (t) => {
  const page = plain(await Deno.readTextFile(new URL("docs/how-to/troubleshooting.md", ROOT)));
  for (const [file, pieces] of Object.entries(WORDS)) {
    await t.step(file, async () => {
      const source = plain(await Deno.readTextFile(new URL(file, ROOT)));
      for (const piece of pieces) {
        assert.ok(page.includes(piece), `the page does not say: ${piece}`);
        assert.ok(source.includes(piece), `${file} does not say: ${piece}`);
      }
    });
  }
});
