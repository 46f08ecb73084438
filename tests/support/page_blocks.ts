/** The YAML of the documentation as a reader applies it, with what the node must have for it. */
import { join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import { type Block, blocks, type Document } from "./documents.ts";
import { useOf } from "./yaml_blocks.ts";

/** A block whose objects ask for networks. */
export interface NetworkBlock {
  /** Of the page. */
  readonly path: string;
  readonly line: number;
  /** Kubernetes objects; a pod is added for a claim that no pod of the block uses. */
  readonly text: string;
  /** The page's file for `try --node`, where it has one. */
  readonly node?: string;
  /** The page's files for `networkDir`, by their names. */
  readonly networks: Readonly<Record<string, string>>;
}

/** The blocks of a page that ask for networks: objects, and parameters of claims that stand alone. */
export function networkBlocks(page: Document): NetworkBlock[] {
  const all = blocks(page);
  const yaml = all.filter(({ language }) => language === "yaml");
  const node = yaml.find(({ text }) => useOf(text, []) === "node")?.text;
  const networks = Object.fromEntries(all.flatMap(networkFile));
  return yaml.flatMap(({ path, line, text }) => {
    const objects = objectsOf(text);
    if (objects === undefined || !asksForNetworks(objects)) return [];
    return [{ path, line, text: withPods(objects), ...(node !== undefined && { node }), networks }];
  });
}

/** Writes the files of `networkDir` into a folder. */
export async function writeNetworks(
  folder: string,
  { networks }: Pick<NetworkBlock, "networks">,
): Promise<void> {
  for (const [name, text] of Object.entries(networks)) {
    await Deno.writeTextFile(join(folder, name), text);
  }
}

/** A claim with these parameters. */
export function claimWith(parameters: string): string {
  const requests = [{ name: "lan", exactly: { deviceClassName: "network-interface" } }];
  const opaque = { driver: "dra.networking", parameters: parse(parameters) };
  return stringify({
    apiVersion: "resource.k8s.io/v1",
    kind: "ResourceClaim",
    metadata: { name: "lan" },
    spec: { devices: { requests, config: [{ opaque }] } },
  });
}

function objectsOf(text: string): string | undefined {
  switch (useOf(text, [])) {
    case "objects":
      return text;
    case "parameters":
      return claimWith(text);
    default:
      return undefined;
  }
}

function asksForNetworks(text: string): boolean {
  return /^kind: (ResourceClaim|ResourceClaimTemplate|Pod|Deployment|StatefulSet|Job)\b/m.test(
    text,
  );
}

/** A block that holds a CNI configuration, as a separate file. */
function networkFile({ language, text }: Block): [string, string][] {
  if (language !== "json") return [];
  const content = JSON.parse(text);
  return content.cniVersion === undefined ? [] : [[`${content.name}.conflist`, text]];
}

interface ObjectOfBlock {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** The objects, with a pod for each claim and template where none of them is a pod or makes some. */
export function withPods(text: string): string {
  const objects = parseAllDocuments(text).map((each) =>
    (each as { toJS(): unknown }).toJS() as ObjectOfBlock
  );
  const passive = ["DeviceClass", "Network", "ResourceClaim", "ResourceClaimTemplate"];
  if (objects.some(({ kind }) => !passive.includes(kind))) return text;
  const claims = objects.filter(({ kind }) => kind.startsWith("ResourceClaim"));
  const pods = claims.map(({ kind, metadata: { name } }) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `uses-${name}` },
    spec: {
      resourceClaims: [{ name, [kind.replace("Resource", "resource") + "Name"]: name }],
      containers: [{
        name: "main",
        image: "busybox",
        command: ["sleep", "infinity"],
        resources: { claims: [{ name }] },
      }],
    },
  }));
  return [text, ...pods.map((pod) => stringify(pod))].join("---\n");
}
