import type { NetworkList } from "../claim/network_list.ts";
import type { AskedNetwork, NamedNetwork } from "../claim/parameters.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { namespaceLabels } from "../manifests/networks.ts";
import { networkIn } from "../networks/cluster_networks.ts";
import { type Definition, parseDefinition } from "../networks/definition.ts";
import { type Invalid, readOrInvalid } from "../networks/invalid.ts";
import { type Labels, needsLabels } from "../networks/namespace_selector.ts";
import { type NetworkObject, parseNetwork } from "../networks/network_object.ts";

/** The networks that files describe. */
export interface FileNetworkObjects {
  readonly networks: ReadonlyMap<string, NetworkObject | Invalid>;
  /** By NAMESPACE/NAME. */
  readonly definitions: ReadonlyMap<string, Definition | Invalid>;
  readonly namespaces: ReadonlyMap<string, Labels>;
}

/** Reads the networks among the objects of files. */
export function fileNetworkObjects(
  own: readonly Manifest[],
  namespaces: readonly Manifest[],
): FileNetworkObjects {
  const of = (kind: string) => own.filter((each) => each.kind === kind);
  const network = readOrInvalid(parseNetwork);
  const definition = readOrInvalid(parseDefinition);
  return {
    networks: new Map(of("Network").map((each) => [each.metadata.name, network(each)])),
    definitions: new Map(
      of("NetworkAttachmentDefinition").map((each) => {
        const { namespace = "default", name } = each.metadata;
        const metadata = { ...each.metadata, namespace };
        return [`${namespace}/${name}`, definition({ ...each, metadata })];
      }),
    ),
    namespaces: namespaceLabels(namespaces),
  };
}

interface Around {
  /** The claim's. */
  readonly namespace: string;
  readonly networks: FileNetworkObjects;
}

/** Whether the files do not say what the network is: it may be on the cluster or on the nodes. */
export function isElsewhere(asked: AskedNetwork, { namespace, networks: known }: Around): boolean {
  const { networks, definitions, namespaces } = known;
  if (asked.by === "networkAttachmentDefinition") {
    return !definitions.has(`${asked.namespace ?? namespace}/${asked.name}`);
  }
  const found = networks.get(asked.name);
  if (!found) return true;
  const selector = "invalid" in found ? undefined : found.namespaces;
  // Labels that the files do not say may be any.
  return selector !== undefined && needsLabels(selector) && !namespaces.has(namespace);
}

/**
 * The network that a claim's parameters name. One that is not in the files may be on the cluster or on
 * the nodes: it is taken as one that allows everything.
 *
 * @throws Error with what the agent would say
 */
export function networkInFiles(asked: AskedNetwork, around: Around): NamedNetwork {
  if (isElsewhere(asked, around)) {
    return { network: anyNetwork(asked.name), place: "networkDir", form: "name" };
  }
  const { namespace, networks: { networks, definitions, namespaces } } = around;
  return networkIn({
    files: {
      names: [],
      find: (name) => ({ network: anyNetwork(name), file: "networkDir" }),
      where: "in files",
      ...(asked.by === "networkName" && { find: () => undefined }),
    },
    networks: { state: "known", objects: networks },
    definitions: { state: "known", objects: definitions },
    namespaces: { state: "known", objects: namespaces },
    namespace,
  }, asked);
}

/** An administrator's network, which lies on the nodes. */
function anyNetwork(name: string): NetworkList {
  const capabilities = { ips: true, mac: true, bandwidth: true, portMappings: true };
  return { cniVersion: "1.0.0", name, plugins: [{ type: "any", capabilities }] };
}
