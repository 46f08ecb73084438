import { type Fields, object } from "../claim/field.ts";
import { nearest } from "../claim/did_you_mean.ts";
import { parseParameters } from "../claim/parameters.ts";
import { OWN } from "../claim/parameter_kinds.ts";
import type { SliceObject } from "../cluster/objects.ts";

/** The network that is tested. */
export type TestedNetwork =
  /** The test's own: macvlan on an interface that the driver publishes on both nodes. */
  | { readonly kind: "macvlan"; readonly interface: string }
  /** One that the administrator has defined on the nodes. */
  | { readonly kind: "named"; readonly name: string }
  /** Parameters of a claim. */
  | { readonly kind: "configured"; readonly parameters: Fields }
  /** What the class says, and nothing more. */
  | { readonly kind: "class" };

/** Two nodes, or one twice: where the pods run that have the network. */
export type Nodes = readonly [string, string];

/** What cannot be tested, and what to do. */
export class TestProblem extends Error {
  override readonly name = "TestProblem";
  readonly whatToDo: string;

  constructor(problem: string, whatToDo: string) {
    super(problem);
    this.whatToDo = whatToDo;
  }
}

/** The classes that the chart installs. */
const CLASSES = { interface: "host-interface", any: "network-interface" } as const;

/** The DeviceClass of a network's claims, where no other one is asked for. */
export function usualClass({ kind }: TestedNetwork): string {
  return kind === "macvlan" ? CLASSES.interface : CLASSES.any;
}

/**
 * Takes parameters of a claim, or the CNI configuration alone that they hold.
 *
 * @throws FieldError that names the field
 */
export function configuredNetwork(content: unknown, path: string): TestedNetwork {
  const given = object(content, path);
  const isCni = "type" in given || "plugins" in given;
  const parameters = isCni ? ownParameters({ config: given }) : given;
  // One that names a network is checked on the node, where that is known.
  const isNamed = ["networkName", "networkAttachmentDefinition"].some((key) => key in given);
  if (!isNamed) parseParameters(parameters, path);
  return { kind: "configured", parameters };
}

function ownParameters(fields: Fields): Fields {
  return { apiVersion: OWN.apiVersion, kind: OWN.kinds[0], ...fields };
}

/** What a claim's template says. */
export interface ClaimOptions {
  readonly driver: string;
  readonly className: string;
  /** In CIDR notation, for the test's own network. */
  readonly addresses: readonly string[];
}

const REQUEST = "network";

/** The spec of the claims for a network. */
export function claimSpec(network: TestedNetwork, options: ClaimOptions): Fields {
  const { driver, className: deviceClassName } = options;
  const parameters = parametersOf(network, options);
  const selectors = network.kind === "macvlan" && {
    selectors: [{
      cel: {
        expression: `device.driver == "${driver}" && ` +
          `device.attributes["${driver}"].?interface.orValue("") == "${network.interface}"`,
      },
    }],
  };
  return {
    devices: {
      requests: [{ name: REQUEST, exactly: { deviceClassName, ...selectors } }],
      ...(parameters && {
        config: [{ requests: [REQUEST], opaque: { driver, parameters: sorted(parameters) } }],
      }),
    },
  };
}

/**
 * The same with all keys in order, as kubectl sends them: the API server keeps parameters byte by byte,
 * and takes a server-side apply of the status for a change of the allocation where it sorts their
 * keys on the way (422, "field is immutable").
 */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([one], [other]) => one < other ? -1 : 1);
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

function parametersOf(network: TestedNetwork, { addresses }: ClaimOptions): Fields | undefined {
  switch (network.kind) {
    case "macvlan":
      return ownParameters({
        config: {
          cniVersion: "1.0.0",
          name: "network-dra-test",
          type: "macvlan", // no master: the allocated interface
          ipam: { type: "static", addresses: addresses.map((address) => ({ address })) },
        },
      });
    case "named":
      return ownParameters({ networkName: network.name });
    case "configured":
      return network.parameters;
    case "class":
      return undefined;
  }
}

/** What the test's own network is made with: plugins that the node must be able to run. */
const NEEDED = ["plugin_macvlan", "plugin_static"];

/** The interfaces of a node on which the test's own network can be made. */
function interfacesOn(node: string, slices: readonly SliceObject[]): string[] {
  const devices = slices.filter((slice) => slice.node === node).flatMap(({ devices }) => devices);
  const usable = devices.filter(({ attributes, taints }) =>
    attributes.interface !== undefined && taints.length === 0 &&
    attributes.state === "up" && NEEDED.every((plugin) => attributes[plugin] === true)
  );
  return [...new Set(usable.map(({ attributes }) => String(attributes.interface)))].toSorted();
}

/** Where to test, and on which interface for the test's own network. */
export interface Place {
  readonly nodes: Nodes;
  readonly network: TestedNetwork;
}

/**
 * Chooses the nodes, and for the test's own network the interface: one that both nodes have.
 *
 * @param slices of the driver
 * @param asked nodes and interface that the user wants; `network` where it is not the test's own
 * @param unready nodes on which no pod would start
 * @throws TestProblem
 */
export function choosePlace(
  slices: readonly SliceObject[],
  { asked, unready, driver }: {
    readonly asked: {
      readonly nodes?: readonly string[];
      readonly interface?: string;
      readonly network?: TestedNetwork;
    };
    readonly unready: readonly string[];
    readonly driver: string;
  },
): Place {
  const published = [...new Set(slices.flatMap(({ node }) => node ?? []))].toSorted();
  if (published.length === 0) {
    throw new TestProblem(
      `no node has devices of the driver ${driver}`,
      "install network-dra, or give --driver-name; kubectl get resourceslices lists what there is",
    );
  }
  const nodes = asked.nodes ?? published.filter((node) => !unready.includes(node));
  for (const node of nodes) {
    if (published.includes(node)) continue;
    const meant = nearest(node, published);
    throw new TestProblem(
      `node ${node} has no devices of the driver ${driver}`,
      meant === undefined
        ? `give --nodes with some of ${shownNames(published)}`
        : `did you mean ${meant}?`,
    );
  }
  const [first, second = first] = nodes;
  if (first === undefined || second === undefined) {
    throw new TestProblem(
      `none of the nodes with devices of the driver ${driver} is ready and schedulable`,
      "look at kubectl get nodes, or name nodes with --nodes",
    );
  }
  if (asked.network) return { nodes: [first, second], network: asked.network };
  return placeOfOwn(slices, { nodes, asked: asked.interface, chosen: asked.nodes !== undefined });
}

/** The first two nodes that have an interface of the same name, or one that has any. */
function placeOfOwn(
  slices: readonly SliceObject[],
  { nodes, asked, chosen }: {
    readonly nodes: readonly string[];
    readonly asked?: string;
    /** Whether the user has named the nodes. */
    readonly chosen: boolean;
  },
): Place {
  const all = nodes.map((node) => ({
    node,
    interfaces: interfacesOn(node, slices).filter((name) => asked === undefined || name === asked),
  })).filter(({ interfaces }) => interfaces.length > 0);
  for (const [i, { node, interfaces }] of all.entries()) {
    for (const other of all.slice(i + 1)) {
      const both = interfaces.find((name) => other.interfaces.includes(name));
      if (both === undefined) continue;
      return { nodes: [node, other.node], network: { kind: "macvlan", interface: both } };
    }
  }
  const [one] = all;
  if (one === undefined || chosen && nodes.length > 1) {
    const which = asked === undefined ? "an interface of one name" : `the interface ${asked}`;
    throw new TestProblem(
      `${shownNames(nodes)} ${
        nodes.length === 1 ? "does" : "do"
      } not publish ${which} that is up, ` +
        "with the plugins macvlan and static",
      "test a network of yours with --class, --network or --config; kubectl get resourceslices -o " +
        "yaml lists the interfaces",
    );
  }
  return {
    nodes: [one.node, one.node],
    network: { kind: "macvlan", interface: one.interfaces[0]! },
  };
}

/** Some names; of many the first ones. */
function shownNames(names: readonly string[]): string {
  const MOST = 5;
  if (names.length <= MOST) return names.join(", ");
  return `${names.slice(0, MOST).join(", ")} and ${names.length - MOST} more`;
}

/** The network, as the report has it. */
export function describeNetwork(network: TestedNetwork, className: string): string {
  switch (network.kind) {
    case "macvlan":
      return `macvlan on ${network.interface} (DeviceClass ${className})`;
    case "named":
      return `the administrator's network ${network.name} (DeviceClass ${className})`;
    case "configured":
      return `the network of --config (DeviceClass ${className})`;
    case "class":
      return `DeviceClass ${className}`;
  }
}
