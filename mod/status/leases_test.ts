import assert from "node:assert/strict";
import { join } from "node:path";
import { anAttachmentSnapshot, aStatusDocument } from "../../tests/support/status_documents.ts";
import { leasesWithoutSandbox } from "./leases.ts";

const WEB = anAttachmentSnapshot("default/web");
const NEW = anAttachmentSnapshot("default/new");

/** A node whose root folder is a temporary one. */
async function withLeases(
  leases: Readonly<Record<string, string>>,
  body: (root: string) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(leases)) {
      const file = join(root, "var/lib/cni/networks", path);
      await Deno.mkdir(join(file, ".."), { recursive: true });
      await Deno.writeTextFile(file, text);
    }
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const documentIn = (root: string, attachments = [WEB]) =>
  aStatusDocument(attachments, {
    settings: [{ name: "chrootDir", value: root, from: "flag" }],
  });

Deno.test("leasesWithoutSandbox() tells of leases that no sandbox has", () =>
  withLeases({
    "lan/10.0.0.2": `${WEB.sandbox}\r\nnet1`,
    "lan/10.0.0.3": "gone\r\nnet1",
    "lan/fd00::3": "gone\r\nnet1",
    "lan/lock": "",
    "lan/last_reserved_ip.0": "10.0.0.3",
    "other/10.1.0.2": "of another program\r\neth0",
  }, async (root) => {
    const document = documentIn(root);
    const found = await leasesWithoutSandbox(document, () => Promise.resolve(document));
    assert.deepEqual(found.map(({ network, address, sandbox }) => [network, address, sandbox]), [
      ["lan", "10.0.0.3", "gone"],
      ["lan", "fd00::3", "gone"],
    ]);
    assert.equal(found[0]!.path, join(root, "var/lib/cni/networks/lan/10.0.0.3"));
  }));

Deno.test("leasesWithoutSandbox() does not mind a sandbox that came meanwhile, or a lease that went", () =>
  withLeases({
    "lan/10.0.0.3": `${NEW.sandbox}\r\nnet1`,
    "lan/10.0.0.4": "detached\r\nnet1",
  }, async (root) => {
    const found = await leasesWithoutSandbox(documentIn(root), async () => {
      await Deno.remove(join(root, "var/lib/cni/networks/lan/10.0.0.4"));
      return documentIn(root, [WEB, NEW]);
    });
    assert.deepEqual(found, []);
  }));

Deno.test("leasesWithoutSandbox() finds nothing where host-local keeps nothing", () =>
  withLeases({}, async (root) => {
    const document = documentIn(root);
    assert.deepEqual(
      await leasesWithoutSandbox(document, () => Promise.reject(new Error("not asked"))),
      [],
    );
  }));
