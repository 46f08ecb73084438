/** The node's network namespaces as the kernel has them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { HostNamespaces, linkOwnNamespace } from "../../mod/netns/host_namespaces.ts";
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
