/** The node's network namespaces as the kernel has them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HostNamespaces, linkOwnNamespace } from "../../mod/netns/host_namespaces.ts";
import { installInterfaceLister, InterfaceLister } from "../../mod/netns/interface_lister.ts";
import { ip } from "../../mod/simulator/private_node.ts";

const NAME = "host-namespaces-test";
const PATH = `/var/run/netns/${NAME}`;

async function withNamespaces(
  body: (namespaces: HostNamespaces, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  linkOwnNamespace(folder);
  try {
    await body(
      new HostNamespaces(folder, { interfaces: () => Promise.resolve(undefined) }),
      folder,
    );
  } finally {
    await ip(["netns", "delete", NAME]).catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("classify() tells a pod's namespace from the agent's own, and from none", () =>
  withNamespaces(async (namespaces, folder) => {
    assert.equal(namespaces.classify(PATH), "gone");
    await ip(["netns", "add", NAME]);
    assert.equal(namespaces.classify(PATH), "pod");
    assert.equal(namespaces.classify(`/run/netns/${NAME}`), "pod");
    const own = join(folder, "own");
    await Deno.symlink("/proc/self/ns/net", own);
    assert.equal(namespaces.classify(own), "host");
    // What an unmount or a reboot leaves.
    await Deno.writeTextFile(join(folder, "file"), "");
    assert.equal(namespaces.classify(join(folder, "file")), "gone");
    assert.equal(namespaces.classify(join(folder, "file", "x")), "gone");
  }));

const confined = await Deno.makeTempDir();
linkOwnNamespace(confined);
globalThis.addEventListener("unload", () => Deno.removeSync(confined, { recursive: true }));

Deno.test({
  name: "classify() and hold() of a path outside of the confined agent's folder name --netns-dir",
  permissions: { read: [confined], sys: ["statfs"] },
  fn: () => {
    // As containerd has them with netns_mounts_under_state_dir.
    const folder = "/run/containerd/io.containerd.grpc.v1.cri/netns";
    const interfaces = () => Promise.resolve(undefined);
    const namespaces = new HostNamespaces(confined, { interfaces });
    for (const look of ["classify", "hold"] as const) {
      assert.throws(() => namespaces[look](`${folder}/cni-1`), {
        message:
          `the container runtime keeps the network namespace at ${folder}/cni-1, where the ` +
          `agent does not look: start it with --netns-dir ${folder} (the chart's value netnsDir)`,
      });
    }
  },
});

Deno.test("hold() keeps a namespace that lost its path, until it is released", () =>
  withNamespaces(async (namespaces) => {
    assert.equal(namespaces.hold(PATH), undefined);
    await ip(["netns", "add", NAME]);
    const held = namespaces.hold(PATH)!;
    await ip(["netns", "delete", NAME]);
    assert.equal(namespaces.classify(PATH), "gone");
    const links = await new Deno.Command("nsenter", {
      args: [`--net=${held.path}`, "ip", "-o", "link"],
    }).output();
    assert.match(new TextDecoder().decode(links.stdout), /^1: lo:[^\n]*\n$/);
    held.release();
    held.release();
    assert.throws(() => Deno.readLinkSync(held.path), Deno.errors.NotFound);
  }));

Deno.test("InterfaceLister lists a pod's interfaces, and keeps no namespace that it looked into", () =>
  withNamespaces(async (_, folder) => {
    const lister = new InterfaceLister((await installInterfaceLister(folder))!);
    try {
      await ip(["netns", "add", NAME]);
      const [outside, inside] = ["lister-a", "lister-b"];
      await ip(["link", "add", outside, "type", "veth", "peer", "name", inside, "netns", NAME]);
      const never = new AbortController().signal;
      const before = (await lister.list(PATH, never))!;
      assert.deepEqual([...before.keys()].toSorted(), [inside, "lo"]);
      assert.match(before.get(inside)!.mac!, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      await ip(["-n", NAME, "link", "set", inside, "name", "net1"]);
      const after = (await lister.list(PATH, never))!;
      assert.deepEqual([...after.keys()].toSorted(), ["lo", "net1"]);
      assert.deepEqual(after.get("net1"), before.get(inside));
      // One that comes in its place has another number, whatever address it is given.
      const { mac } = after.get("net1")!;
      await ip(["-n", NAME, "link", "delete", "net1"]);
      // So many that the kernel tells of them in several parts.
      for (let i = 1; i <= 50; i++) {
        const peer = ["peer", "name", `peer${i}`];
        await ip(["-n", NAME, "link", "add", `net${i}`, "address", mac!, "type", "veth", ...peer]);
      }
      const others = (await lister.list(PATH, never))!;
      assert.equal(others.size, 101);
      assert.equal(others.get("net1")!.mac, mac);
      assert.notEqual(others.get("net1")!.index, after.get("net1")!.index);
      await ip(["link", "add", outside, "type", "veth", "peer", "name", inside, "netns", NAME]);
      // The pair goes with its namespace, unless something is still in there.
      await ip(["netns", "delete", NAME]);
      const until = performance.now() + 5_000;
      while (await exists(outside) && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.equal(await exists(outside), false, "the namespace is still held");
    } finally {
      await lister.close();
    }
  }));

async function exists(link: string): Promise<boolean> {
  return await ip(["link", "show", link]).then(() => true, () => false);
}
