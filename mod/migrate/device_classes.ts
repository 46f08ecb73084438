import { CLAIM_API } from "../manifests/kinds.ts";
import type { Manifest } from "../manifests/manifest.ts";
import type { NetworkElement } from "./annotation.ts";
import { type Definition, keyOf } from "./definition.ts";
import type { Commented } from "./migration.ts";
import { namePart, Names } from "./names.ts";
import { argumentsOf, type NetworkParameters } from "./network_parameters.ts";
import type { NetworkDraft } from "./network_objects.ts";
import type { SelectedDevice } from "./selected_device.ts";

/** A definition that has become a class. */
export interface MovedNetwork {
  readonly is: "moved";
  readonly definition: Definition;
  /** What stands in the parameters of its classes. */
  readonly attached: Definition;
  readonly selected?: SelectedDevice;
  /** The Network that gives its addresses. */
  readonly draft?: NetworkDraft;
  /** The class that attaches it as it is. */
  readonly className: string;
  /** What is said of the definition, and need not be said again of who uses it. */
  readonly said: readonly string[];
}

/** What has become of a definition. */
export type Network = MovedNetwork | { readonly is: "left" };

/** Those of the chart. */
const CHARTS_OWN = ["network-interface", "host-interface"];

/** The classes that stand for definitions: one for each, and one for each other way to use it. */
export class DeviceClasses {
  readonly all: Commented[] = [];
  readonly #driver: string;
  readonly #names: Names;
  /** Names of classes, by what they hold. */
  readonly #variants = new Map<string, string>();

  /** @param taken names of other classes */
  constructor({ driver, taken }: { readonly driver: string; readonly taken: readonly string[] }) {
    this.#driver = driver;
    this.#names = new Names([...CHARTS_OWN, ...taken]);
  }

  /** A name that no other definition gets: namespaces have no dots. */
  takeName({ namespace, name }: Definition): string {
    return this.#names.take(`${namespace}.${name}`);
  }

  /** @param use how the network is used, in words; undefined where it is used as it is */
  add(
    { definition, selected }: MovedNetwork,
    { className, parameters, use }: {
      readonly className: string;
      readonly parameters: NetworkParameters;
      readonly use?: string;
    },
  ): void {
    this.#variants.set(variantKey(definition, parameters), className);
    const driver = this.#driver;
    const type = `device.attributes["${driver}"].type`;
    const sign = selected ? "!=" : "==";
    const selectors = [
      { cel: { expression: `device.driver == "${driver}" && ${type} ${sign} "cni"` } },
      ...selected ? [{ cel: { expression: selected.expression } }] : [],
    ];
    const decisions = [...parameters.decisions, ...selected?.decisions ?? []];
    const ending = use === undefined ? "" : `, ${use}`;
    this.all.push({
      object: {
        apiVersion: CLAIM_API,
        kind: "DeviceClass",
        metadata: { name: className },
        spec: { selectors, config: [{ opaque: { driver, parameters: parameters.value } }] },
      },
      comments: [
        `Was: NetworkAttachmentDefinition ${keyOf(definition)}${ending}.`,
        ...parameters.notes,
        ...decisions.map((decision) => `DECIDE: ${decision}`),
      ],
    });
  }

  /** The name of the class that attaches a network as a workload asks for it. */
  for(
    network: MovedNetwork,
    { element, parameters, workload }: {
      readonly element: NetworkElement;
      readonly parameters: NetworkParameters;
      readonly workload: Manifest;
    },
  ): string {
    const known = this.#variants.get(variantKey(network.definition, parameters));
    if (known !== undefined) return known;
    const { className: base } = network;
    const { kind, metadata: { name } } = workload;
    const isOwn = Object.keys(argumentsOf(element)).length > 0;
    const end = namePart(element.interfaceName);
    const wanted = isOwn ? `${base}.${namePart(name)}.${end}` : `${base}.${end}`;
    const className = this.#names.take(wanted);
    const use = isOwn ? `as ${kind} ${name} uses it` : `as ${element.interfaceName}`;
    this.add(network, { className, parameters, use });
    return className;
  }
}

/** Parameters have been read by then: they are not nested without end. */
function variantKey(definition: Definition, { value }: NetworkParameters): string {
  return `${keyOf(definition)} ${JSON.stringify(value)}`;
}
