/** The YAML of the documentation as a reader applies it, with what the chart installs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { parseNodeFile } from "../../../mod/cmd/node_file.ts";
import { documents } from "../../support/documents.ts";
import { type NetworkBlock, networkBlocks, writeNetworks } from "../../support/page_blocks.ts";
import type { Json, Manifest } from "../api.ts";
import { published, withLinks } from "../interfaces.ts";
import { FOLDERS } from "../node_place.ts";
import type { Case, Space } from "../space.ts";
import { podCount } from "./examples.ts";

/** The examples have their own cases. */
const PAGES = (await documents()).filter(({ path }) => !path.startsWith("examples/"));

/** By page and line: each block that asks for networks. */
export const DOCUMENTATION: Readonly<Record<string, Case>> = Object.fromEntries(
  PAGES.flatMap(networkBlocks).map((block) => [
    `the YAML at ${block.path}:${block.line}`,
    (space: Space) => withNode(space, block, () => assertNetworks(space, manifestsOf(block.text))),
  ]),
);

/** No interface of a private node is hardware. */
function manifestsOf(text: string): Manifest[] {
  const onCables = text.replaceAll('type == "physical"', 'type == "veth"');
  return (parseAllDocuments(onCables) as Json[]).map((document) => document.toJS());
}

/** The node has the interfaces that the page describes, and the networks whose files it shows. */
async function withNode(
  space: Space,
  block: NetworkBlock,
  body: () => Promise<void>,
): Promise<void> {
  const { path, node, networks } = block;
  const described = node === undefined ? [] : parseNodeFile(node, path)[0]!.interfaces;
  const links = described.filter(({ name }) => name !== "eth0");
  try {
    await writeNetworks(FOLDERS.networks, block);
    await withLinks(links, async () => {
      for (const { name } of links) await published(space.cluster, name);
      await body();
      await space.clear();
    });
  } finally {
    for (const name of Object.keys(networks)) await Deno.remove(join(FOLDERS.networks, name));
  }
}

/** Every pod runs and has a network for each claim that it names, as the claim's status says. */
async function assertNetworks(space: Space, manifests: readonly Manifest[]): Promise<void> {
  await space.apply(...manifests);
  for (const pod of await space.allRunning(podCount(manifests))) {
    const networks = await space.networksOf(pod);
    assert.ok(networks.length >= pod.spec.resourceClaims.length);
  }
}
