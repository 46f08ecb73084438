/**
 * Each YAML block of the documentation that asks for networks runs on a simulated node, which has the
 * interfaces that the page describes (a file for `try --node`) and the networks whose files it shows.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli } from "../support/cli.ts";
import { documents } from "../support/documents.ts";
import { networkBlocks, withPods, writeNetworks } from "../support/page_blocks.ts";
import { holdsObjects } from "../support/yaml_blocks.ts";

/** The examples have their own tests. */
const PAGES = (await documents()).filter(({ path }) => !path.startsWith("examples/"));

for (const block of PAGES.flatMap(networkBlocks)) {
  Deno.test(`${block.path}:${block.line}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const [file, node, networks] = ["block.yaml", "node.yaml", "networks"].map((name) =>
        join(folder, name)
      ) as [string, string, string];
      await Deno.writeTextFile(file, block.text);
      if (block.node !== undefined) await Deno.writeTextFile(node, block.node);
      await Deno.mkdir(networks);
      await writeNetworks(networks, block);
      const { code, stderr } = await cli([
        ...["try", file, "--network-dir", networks],
        ...block.node === undefined ? [] : ["--node", node],
      ]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /nothing is left/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("networkBlocks() gives what asks for networks, with what its page shows of the node", () => {
  const page = (...texts: string[]) => ({
    path: "page.md",
    text: texts.map((text) => `\`\`\`${/^\{/.test(text) ? "json" : "yaml"}\n${text}\n\`\`\`\n`)
      .join("\n"),
  });
  const claim = "apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: { name: lan }";
  const parameters = "apiVersion: dra.networking/v1alpha1\nkind: Network\nnetworkName: lan";
  const network = '{ "cniVersion": "1.0.0", "name": "lan", "plugins": [] }';
  const [first, second, ...others] = networkBlocks(
    page(claim, "nodes: [{ name: node-1 }]", network, parameters, "apiVersion: v1\nkind: Quota"),
  );
  assert.deepEqual(others, []);
  assert.equal(first!.line, 2);
  assert.equal(first!.node, "nodes: [{ name: node-1 }]\n");
  assert.deepEqual(first!.networks, { "lan.conflist": `${network}\n` });
  assert.match(second!.text, /networkName: lan(.|\n)*kind: Pod/);
});

Deno.test("withPods() adds what is missing, and nothing else", () => {
  const claim = "apiVersion: v1\nkind: ResourceClaim\nmetadata: { name: lan }\n";
  assert.ok(holdsObjects(withPods(claim)) && /resourceClaimName: lan/.test(withPods(claim)));
  const pod = `${claim}---\napiVersion: v1\nkind: Pod\nmetadata: { name: one }\n`;
  assert.equal(withPods(pod), pod);
});
