/**
 * What the agent does by itself, with the real plugins: CHECK, repair, GC, what a crash or a
 * reboot left, and what an administrator wants forgotten.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentNode, DRIVER, type Pod } from "../support/agent_node.ts";
import { cli } from "../support/cli.ts";

const [pluginFolder] = await fetchCniPlugins();

/** Leaves out what only macvlan takes. */
const none = { master: undefined, mode: undefined };

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function addresses({ name }: Pod, family = "-4"): Promise<string[]> {
  const all = JSON.parse(
    await ip([family, "-n", name, "-j", "addr", "show", "scope", "global"]),
  ) as { ifname?: string; addr_info?: { local: string }[] }[];
  return all.flatMap(({ ifname, addr_info = [] }) =>
    addr_info.map(({ local }) => `${ifname} ${local}`)
  );
}

async function index({ name }: Pod, link = "net1"): Promise<number> {
  const [shown] = JSON.parse(await ip(["-n", name, "-j", "link", "show", link]));
  return (shown as { ifindex: number }).ifindex;
}

async function leases(network: string): Promise<string[]> {
  try {
    const all = await Array.fromAsync(Deno.readDir(`/var/lib/cni/networks/${network}`));
    return all.map((entry) => entry.name).filter((lease) => /^[0-9a-f]+[.:]/.test(lease));
  } catch {
    return [];
  }
}

Deno.test("an interface that is lost shows within a round of CHECK, and as repaired with --repair", async () => {
  await using node = await AgentNode.start(["--check-interval", "300ms"]);
  const pod = await node.run();
  const well = await node.run();
  await node.ready(pod);
  await ip(["-n", pod.name, "link", "delete", "net1"]);
  await node.notReady(pod, "NetworkInterfaceLost");
  assert.match(node.condition(pod)!.message, /type="macvlan".* failed \(check\): .*net1/);
  assert.match(
    await node.event("NetworkLost", pod),
    /^network "lan-pod\d+" \(interface net1, .*\) is lost: .*: recreate the pod to attach it again$/,
  );
  const health = node.kubelet.watchHealth(DRIVER, AbortSignal.timeout(5_000));
  const { value } = await health[Symbol.asyncIterator]().next();
  // The device is shared with one that is well.
  assert.match(value.devices[0].message, /^1 of 2 networks: network "lan-pod/);
  assert.equal(value.devices[0].health, 1);
  assert.equal(node.condition(well)?.status, "True");
  // Without --repair it stays as it is.
  await pause(1_000);
  assert.deepEqual(await addresses(pod), []);

  await node.agent.end();
  await node.startAgent("--check-interval", "300ms", "--repair");
  await node.ready(pod);
  assert.equal((await addresses(pod)).length, 1);
  assert.deepEqual(await node.api.get("default", pod.claim.name)!.status!.devices!.length, 1);
  const lan = `lan-${pod.name}`;
  assert.equal((await leases(lan)).length, 1);
  for (const each of [pod, well]) {
    await node.stop(each);
    assert.equal(await node.unprepare(each), "");
    assert.deepEqual(await leases(`lan-${each.name}`), []);
  }
  assert.equal(await node.agent.end(), 0);
});

Deno.test("CHECK takes what is whole for whole: every plugin, and a device that is in the pod", async () => {
  await ip(["link", "add", "nic0", "type", "veth", "peer", "name", "nic0p"]);
  await using node = await AgentNode.start(["--check-interval", "100ms", "--repair"]);
  const pods = [
    await node.run(),
    await node.run({ chained: [{ type: "tuning", mtu: 1400 }] }),
    await node.run({ type: "tap", config: none }),
    await node.run({ type: "bridge", config: { ...none, bridge: "br-r" } }),
    await node.run({ type: "ptp", config: none }),
    await node.run({
      type: "host-device",
      device: "nic0",
      config: none,
    }),
  ];
  for (const pod of pods) await node.ready(pod);
  // The device's interface left the node for the pod: long enough to be noticed.
  await pause(4_000);
  assert.deepEqual(pods.map((pod) => node.condition(pod)?.status), pods.map(() => "True"));
  assert.deepEqual(node.api.events.all(), []);
  const checks = node.agent.lines.filter(({ msg }) => /cannot check|is lost/.test(msg));
  assert.deepEqual(checks, []);
  for (const pod of pods) {
    await node.stop(pod);
    assert.equal(await node.unprepare(pod), "");
    assert.deepEqual(await leases(`lan-${pod.name}`), []);
  }
  await ip(["link", "delete", "br-r"]);
  await ip(["link", "delete", "nic0p"]);
});

Deno.test("a device that is removed while attached: Ready False at once, and anew when it is back", async () => {
  const add = async () => {
    await ip(["link", "add", "lan0", "type", "veth", "peer", "name", "lan0p"]);
    await ip(["link", "set", "lan0", "up"]);
  };
  await add();
  await using node = await AgentNode.start(["--check-interval", "0"]);
  const shown = (wanted: boolean) =>
    node.until(
      () => node.api.slices.devices().some(({ name }) => name === "lan0") === wanted,
      () => `lan0 ${wanted ? "is not" : "is"} there`,
    );
  await shown(true);
  const pod = await node.run({ device: "lan0", config: { master: undefined } });
  await node.ready(pod);
  await ip(["link", "delete", "lan0"]);
  const began = performance.now();
  await node.notReady(pod, "DeviceRemoved");
  assert.ok(performance.now() - began < 5_000);
  assert.match(
    node.condition(pod)!.message,
    /^the interface of device lan0 is gone from the node: plugin type="macvlan"/,
  );
  assert.match(await node.event("NetworkDeviceRemoved", pod), /device lan0 is gone/);
  const health = node.kubelet.watchHealth(DRIVER, AbortSignal.timeout(5_000));
  const { value } = await health[Symbol.asyncIterator]().next();
  assert.equal(value.devices[0].health, 2);
  assert.match(value.devices[0].message, /is lost: the interface of device lan0 is gone/);
  // An interface with that name is not what was attached: only CHECK says so.
  await add();
  await pause(3_000);
  assert.equal(node.condition(pod)?.status, "False");
  await node.agent.end();
  await node.startAgent("--check-interval", "500ms", "--repair");
  await node.ready(pod);
  assert.equal((await addresses(pod)).length, 1);
  await node.stop(pod);
  assert.equal(await node.unprepare(pod), "");
  assert.deepEqual(await leases(`lan-${pod.name}`), []);
  await ip(["link", "delete", "lan0"]);
});

Deno.test("a result that never came to the disk is recalled: the running pod keeps its interface", async () => {
  await using node = await AgentNode.start();
  const pod = await node.run();
  await node.ready(pod);
  const before = [await index(pod), await addresses(pod)];
  await node.agent.end("SIGKILL");
  // As an agent leaves it that dies before it wrote the result.
  const [file] = await node.records("attachments");
  const path = join(node.stateDir, "attachments", file!);
  const { attached, ...half } = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify(half));
  await node.startAgent();
  await node.agent.logged(/^network .* is still attached$/);
  await node.until(
    async () => (await Deno.readTextFile(path)).includes("attached"),
    () => "the result does not come to the disk",
  );
  assert.deepEqual([await index(pod), await addresses(pod)], before);
  const now = JSON.parse(await Deno.readTextFile(path)).attached;
  assert.deepEqual([now.result, now.networkData], [attached.result, attached.networkData]);
  await pause(1_000);
  assert.equal(node.condition(pod)?.status, "True");

  // The same with an interface that CHECK does not find whole. No earlier CHECK is on record that did,
  // so it proves nothing (design decision 15), and the running pod keeps what it has.
  await node.agent.end("SIGKILL");
  await Deno.writeTextFile(path, JSON.stringify(half));
  await ip(["-n", pod.name, "addr", "flush", "dev", "net1"]);
  await node.startAgent();
  await node.agent.logged(/^network .* is still attached$/);
  assert.equal(await index(pod), before[0]);

  // The same with an interface that is gone: it is recreated.
  await node.agent.end("SIGKILL");
  await Deno.writeTextFile(path, JSON.stringify(half));
  await ip(["-n", pod.name, "link", "delete", "net1"]);
  await node.startAgent();
  await node.event("NetworkAttachedLate", pod);
  await node.until(async () => (await addresses(pod)).length === 1, () => "no address");
  assert.notEqual(await index(pod), before[0]);
  await node.stop(pod);
  assert.equal(await node.unprepare(pod), "");
  assert.deepEqual(await leases(`lan-${pod.name}`), []);
});

Deno.test("after a reboot the leases of the old boot are freed, and new sandboxes attached", async () => {
  await ip(["link", "add", "nic1", "type", "veth", "peer", "name", "nic1p"]);
  await using node = await AgentNode.start();
  const pods = [
    await node.run(),
    await node.run({ type: "bridge", config: { ...none, bridge: "br-boot", ipMasq: false } }),
    await node.run({ type: "ptp", config: none }),
    await node.run({ chained: [{ type: "tuning", mtu: 1400 }] }),
    await node.run({ type: "host-device", device: "nic1", config: none }),
  ];
  const held = await Promise.all(pods.map(({ name }) => leases(`lan-${name}`)));
  assert.deepEqual(held.map(({ length }) => length), pods.map(() => 1));
  await node.agent.end("SIGKILL");
  // What a reboot does: all namespaces and all that was made are gone, the disk is as it was.
  for (const { name } of pods) await ip(["netns", "delete", name]);
  await ip(["link", "delete", "br-boot"]);
  await Deno.remove(join(node.folder, "cdi"), { recursive: true });
  // Runtimes list sandboxes of the old boot for a while, with the paths that they had.
  node.pods.splice(3);
  node.containers.splice(0);
  await node.startAgent();
  await node.until(
    async () => (await node.records("attachments")).length === 0,
    () => "attachments of the old boot are left",
  );
  for (const { name } of pods) assert.deepEqual(await leases(`lan-${name}`), []);
  assert.equal((await node.records("claims")).length, pods.length);

  // The kubelet takes a claim for prepared, and makes the pod's sandbox again.
  const [pod] = pods;
  const again = { ...pod!, sandbox: await node.sandbox(pod!.name, pod!.sandbox.uid) };
  node.pods.splice(0);
  await node.begin(again);
  await node.ready(again);
  assert.equal((await addresses(again)).length, 1);
  await node.stop(again);
  for (const each of pods) assert.equal(await node.unprepare(each), "");
  assert.deepEqual(await leases(`lan-${pod!.name}`), []);
  assert.deepEqual(await node.records("claims"), []);
});

Deno.test("a claim that is gone from the API server while nobody unprepares it is released", async () => {
  await using node = await AgentNode.start();
  const [gone, used] = [await node.run(), await node.run()];
  await node.agent.end("SIGKILL");
  // The kubelet has lost its books, and the pod is gone with its namespace.
  await ip(["netns", "delete", gone.name]);
  node.pods.splice(node.pods.indexOf(gone.sandbox), 1);
  node.api.delete("default", gone.claim.name);
  node.api.delete("default", used.claim.name);
  await node.startAgent();
  await node.until(
    async () => (await node.records("claims")).length === 1,
    () => "the claim is not released",
  );
  assert.deepEqual(await node.records("claims"), [`${used.claim.uid}.json`]);
  assert.deepEqual(await leases(`lan-${gone.name}`), []);
  // That of a pod that lives is never touched.
  assert.equal((await addresses(used)).length, 1);
  await node.stop(used);
  assert.equal(await node.unprepare(used), "");
});

Deno.test("network-dra forget lets go what cannot be detached, and frees what can be freed", async () => {
  await using node = await AgentNode.start();
  const copy = join(node.plugins, "macvlan-own");
  await Deno.copyFile(join(pluginFolder!, "macvlan"), copy);
  const pod = await node.run({ type: "macvlan-own" });
  const forget = (claim: string) => cli(["forget", claim, "--state-dir", node.stateDir]);
  const inUse = await forget(`default/${pod.claim.name}`);
  assert.equal(inUse.code, 1);
  assert.match(inUse.stderr, /is in use by pod default\/pod\d+: delete the pod first/);
  await Deno.remove(copy);
  await node.stop(pod);
  await node.event("NetworkDetachFailed", pod);
  assert.equal((await leases(`lan-${pod.name}`)).length, 1);
  const { code, stdout, stderr } = await forget(pod.claim.uid);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^forgot claim default\/claim-pod\d+ \(UID .*\)\ngave up detaching network/);
  assert.match(
    await node.event("NetworkForgotten", pod),
    /macvlan-own.* is in none of the folders/,
  );
  assert.equal(await node.unprepare(pod), "");
  assert.deepEqual([...await node.records("claims"), ...await node.records("attachments")], []);
  // Its IPAM plugin is there.
  assert.deepEqual(await leases(`lan-${pod.name}`), []);
  const unknown = await forget("default/nobody");
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /no claim "default\/nobody" is known on this node/);
  assert.deepEqual(
    (await Array.fromAsync(Deno.readDir(join(node.stateDir, "requests")))).length,
    0,
  );
});

/** Keeps what it was given; speaks all versions. */
const RECORDER = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) exec sed 's/.*"prevResult":\\({.*}\\)}$/\\1/' ;;
GC) cat >> FOLDER/gc; echo >> FOLDER/gc ;;
esac
`;

Deno.test("GC goes to the plugins of networks that are ours alone, with what is attached; no lease is lost", async () => {
  await using node = await AgentNode.start(["--gc-networks", "gc-ours", "--check-interval", "0"]);
  const script = RECORDER.replaceAll("FOLDER", node.folder);
  await Deno.writeTextFile(join(node.plugins, "recorder"), script, { mode: 0o755 });
  const network = (name: string) => ({
    name,
    subnet: 99,
    cniVersion: "1.1.0",
    chained: [{ type: "recorder" }],
  });
  const pods = [
    await node.run(network("gc-ours")),
    await node.run(network("gc-ours")),
    await node.run(network("gc-theirs")),
  ];
  await node.agent.end();
  // A lease that somebody else holds by the name of the other network.
  const foreign = "/var/lib/cni/networks/gc-theirs/10.10.99.77";
  await Deno.writeTextFile(foreign, "other-container\neth0");
  await node.startAgent("--gc-networks", "gc-ours", "--check-interval", "0");
  const read = () => Deno.readTextFile(join(node.folder, "gc")).catch(() => "");
  await node.until(async () => await read() !== "", () => "no GC came");
  const collected = (await read()).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(new Set(collected.map(({ name }) => name)), new Set(["gc-ours"]));
  const valid = collected[0]["cni.dev/valid-attachments"] as { containerID: string }[];
  assert.deepEqual(
    valid.map(({ containerID }) => containerID).toSorted(),
    pods.slice(0, 2).map(({ sandbox }) => sandbox.id).toSorted(),
  );
  assert.equal((await leases("gc-ours")).length, 2);
  assert.ok((await leases("gc-theirs")).includes("10.10.99.77"));
  await Deno.remove(foreign);
  for (const pod of pods) {
    await node.stop(pod);
    assert.equal(await node.unprepare(pod), "");
  }
  assert.deepEqual([...await leases("gc-ours"), ...await leases("gc-theirs")], []);
});
