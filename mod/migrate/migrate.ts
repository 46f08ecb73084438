import { nearest } from "../claim/did_you_mean.ts";
import { FieldError, type Fields, show } from "../claim/field.ts";
import { CLAIM_API } from "../manifests/kinds.ts";
import { type Manifest, objectsIn } from "../manifests/manifest.ts";
import { type FileObject, readObjects, refusal } from "../manifests/manifests.ts";
import type { Source } from "../manifests/file_set.ts";
import { type NetworkElement, NETWORKS } from "./annotation.ts";
import {
  DEFAULT_NAMESPACE,
  type Definition,
  isDefinition,
  keyOf,
  parseDefinition,
} from "./definition.ts";
import type { Finding, Level, MovedInterface, NetworkOutcome, WorkloadOutcome } from "./finding.ts";
import { DeviceClasses, type MovedNetwork, type Network } from "./device_classes.ts";
import { holdsLeases, type Lease, leasesIn } from "./leases.ts";
import type { Commented, Migration, PatchedWorkload } from "./migration.ts";
import { Names } from "./names.ts";
import { NetworkObjects } from "./network_objects.ts";
import {
  argumentsOf,
  type Capability,
  type NetworkParameters,
  networkParameters,
  type Use,
} from "./network_parameters.ts";
import { assertMovable, type DeviceSelectors } from "./obstacles.ts";
import { type SelectedDevice, selectedDevice } from "./selected_device.ts";
import {
  authored,
  controllerOf,
  hasPods,
  isAnnotated,
  networksOf,
  templateOf,
  templatePath,
  withClaim,
} from "./workload.ts";

export interface MigrationOptions {
  /** The agent's name. */
  readonly driver: string;
  /** For the extended resources of device plugins. */
  readonly selectors?: DeviceSelectors;
}

/**
 * Makes DeviceClasses, ResourceClaimTemplates and patches of workloads of NetworkAttachmentDefinitions
 * and annotated workloads. A workload moves with all of its networks or not at all.
 *
 * @throws Error for YAML that cannot be read; it names the file and the line
 */
export function migrate(sources: readonly Source[], options: MigrationOptions): Migration {
  const seen = new Map<string, string>();
  const objects = sources.flatMap(({ file, text }) => readObjects(text, file, seen));
  for (const object of objects) {
    if (object.problem?.column !== undefined) throw refusal(object, object.problem);
  }
  return new Mover(options, takenNames(objects)).move(objects);
}

class Mover {
  readonly #selectors: DeviceSelectors;
  readonly #networks = new Map<string, Network>();
  readonly #objects: NetworkObjects;
  readonly #leases: Lease[] = [];
  readonly #classes: DeviceClasses;
  readonly #templates: Commented[] = [];
  readonly #workloads: PatchedWorkload[] = [];
  readonly #networkOutcomes: NetworkOutcome[] = [];
  readonly #workloadOutcomes: WorkloadOutcome[] = [];
  readonly #findings: Finding[] = [];
  readonly #templateNames: Map<string, Names>;

  constructor(
    { driver, selectors = new Map() }: MigrationOptions,
    taken: ReturnType<typeof takenNames>,
  ) {
    this.#selectors = selectors;
    this.#objects = new NetworkObjects(taken.networks);
    this.#classes = new DeviceClasses({ driver, taken: taken.classes });
    this.#templateNames = new Map(
      [...taken.templates].map(([namespace, names]) => [namespace, new Names(names)]),
    );
  }

  move(objects: readonly FileObject[]): Migration {
    for (const each of objects.filter(holdsLeases)) this.#leasesOf(each);
    for (const each of objects.filter(isDefinition)) this.#definition(each);
    for (const each of objects) if (!isDefinition(each)) this.#other(each);
    return {
      networks: this.#objects.all,
      classes: this.#classes.all,
      templates: this.#templates,
      workloads: this.#workloads,
      networkOutcomes: this.#networkOutcomes,
      workloadOutcomes: this.#workloadOutcomes,
      findings: this.#findings,
    };
  }

  #find(level: Level, { place, title }: FileObject | Definition, text: FieldError | string): void {
    const isField = text instanceof FieldError;
    this.#findings.push({
      level,
      file: place.file,
      line: isField ? place.lineOf(text.path) : place.line,
      object: title,
      message: shortened(isField ? text.message : text),
    });
  }

  #definition(object: FileObject): void {
    const { file, line } = object.place;
    try {
      const definition = parseDefinition(object);
      const key = keyOf(definition);
      if (this.#networks.has(key)) throw new FieldError("metadata.name", `${key} is defined twice`);
      assertMovable(definition, this.#selectors);
      const selected = selectedDevice(definition, this.#selectors);
      const draft = this.#objects.draft(selected?.definition ?? definition, this.#leases);
      const attached = draft?.definition ?? selected?.definition ?? definition;
      const parameters = networkParameters(attached, { path: "spec" });
      const network: MovedNetwork = {
        is: "moved",
        definition,
        attached,
        className: this.#classes.takeName(definition),
        said: [...parameters.decisions, ...parameters.notes],
        ...(selected && { selected }),
        ...(draft && { draft }),
      };
      this.#networks.set(key, network);
      this.#classes.add(network, { className: network.className, parameters });
      this.#networkOutcomes.push({
        ...{ file, line, network: key, deviceClass: network.className },
        ...(draft && { networkObject: draft.name }),
      });
      if (draft) {
        this.#objects.add(draft);
        for (const note of draft.notes) this.#find("note", object, note);
        this.#find("decide", object, draft.decision);
      }
      this.#remark(definition, parameters, selected);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.#find("left", object, error);
      const key = shownKey(object);
      if (!this.#networks.has(key)) this.#networks.set(key, { is: "left" });
      this.#networkOutcomes.push({ file, line, network: key });
    }
  }

  #remark(
    definition: Definition,
    { decisions, notes }: NetworkParameters,
    selected: SelectedDevice | undefined,
  ): void {
    const all = [...decisions, ...selected?.decisions ?? []];
    for (const decision of all) this.#find("decide", definition, decision);
    for (const note of notes) this.#find("note", definition, note);
    if (definition.resourceName !== undefined && !selected) {
      this.#find(
        "note",
        definition,
        `The resource ${definition.resourceName} stays with its device plugin: containers keep their ` +
          "requests for it. The agent does not tell the plugin the device's ID.",
      );
    }
  }

  #leasesOf(object: FileObject): void {
    try {
      this.#leases.push(...leasesIn(object));
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.#find("decide", object, `${error.message}: exclude its addresses yourself`);
    }
  }

  #other(object: FileObject): void {
    const { manifest, problem } = object;
    if (problem) {
      // Whether it asks for networks cannot be told.
      const message = shortened(problem.message);
      this.#findings.push({ level: "left", ...whereIs(object), line: problem.line, message });
      return;
    }
    if (!manifest || !hasPods(manifest)) return;
    const { file, line } = object.place;
    const { namespace = DEFAULT_NAMESPACE } = manifest.metadata;
    const outcome = { file, line, object: object.title, namespace };
    this.#misplaced(object, manifest);
    if (!isAnnotated(manifest)) return;
    const controller = controllerOf(manifest);
    if (controller !== undefined) {
      this.#find("note", object, `is made by ${controller}: move that instead`);
      return;
    }
    try {
      const before = authored(manifest);
      const elements = networksOf(before);
      if (elements.length === 0) return;
      const moved = this.#workload(object, { before, elements, namespace });
      this.#workloadOutcomes.push({ ...outcome, moved });
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.#find("left", object, error);
      this.#workloadOutcomes.push(outcome);
    }
  }

  /** An annotation of the workload is not one of its pods. */
  #misplaced(object: FileObject, manifest: Manifest): void {
    const { annotations } = manifest.metadata as { readonly annotations?: Fields };
    if (templatePath(manifest) === "" || !annotations?.[NETWORKS]) return;
    const at = `metadata.annotations[${show(NETWORKS)}]`;
    const problem = "belongs to the workload and not to its pods: Multus ignores it";
    this.#find("note", object, new FieldError(at, problem));
  }

  #workload(
    object: FileObject,
    { before, elements, namespace }: {
      readonly before: Manifest;
      readonly elements: readonly NetworkElement[];
      readonly namespace: string;
    },
  ): NonNullable<WorkloadOutcome["moved"]> {
    const { kind, metadata: { name } } = before;
    const claims = claimNames(before);
    // The agent counts net1, net2, … as Multus does, unless names are given or another claim has some.
    const isCounted = claims.length === 0 && elements.every((each) => !each.interfaceGiven);
    const uses = elements.map((element) => {
      const network = this.#networkOf(element, namespace);
      const given = argumentsOf(element);
      const isNamed = !isCounted || Object.keys(given).length > 0;
      const use: Use = {
        ...given,
        path: element.path,
        ...(isNamed && { interfaceName: element.interfaceName }),
      };
      return { element, network, parameters: networkParameters(network.attached, use) };
    });
    const requestNames = new Names();
    const requests: { name: string; exactly: { deviceClassName: string } }[] = [];
    const interfaces: MovedInterface[] = [];
    const resources = new Set<string>();
    const comments = new Set<string>();
    for (const { element, network, parameters } of uses) {
      const key = keyOf(network.definition);
      const deviceClassName = this.#classes.for(network, { element, parameters, workload: before });
      requests.push({ name: requestNames.takeLabel(element.name), exactly: { deviceClassName } });
      interfaces.push({
        interface: element.interfaceName,
        network: key,
        deviceClass: deviceClassName,
      });
      if (network.selected) resources.add(network.selected.resourceName);
      network.draft?.namespaces.add(namespace);
      const { capabilities = {} } = parameters.value;
      for (const each of Object.keys(capabilities as Fields)) {
        network.draft?.asked.add(each as Capability);
      }
      for (const ignored of element.ignored) {
        this.#find(
          "note",
          object,
          new FieldError(`${element.path}.${ignored}`, "Multus ignores it"),
        );
      }
      if (element.namespace !== undefined && element.namespace !== namespace) {
        this.#find(
          "note",
          object,
          `uses ${key} of another namespace, as every namespace can use a DeviceClass: where that must ` +
            "not be, set a ResourceQuota of 0 for the class in the other namespaces.",
        );
      }
      const isNew = (sentence: string) => !network.said.includes(sentence);
      for (const decision of parameters.decisions.filter(isNew)) {
        this.#decide(object, decision, comments);
      }
      for (const note of parameters.notes.filter(isNew)) this.#find("note", object, note);
      const isFixed = element.ips !== undefined || element.mac !== undefined;
      if (isFixed && kind === "Deployment") {
        this.#decide(object, FIXED_ADDRESS, comments);
      }
    }
    const immutable = IMMUTABLE[kind];
    if (immutable !== undefined) this.#decide(object, immutable, comments);
    const templateName = this.#namesIn(namespace).take(`${name}-networks`);
    this.#templates.push({
      object: {
        apiVersion: CLAIM_API,
        kind: "ResourceClaimTemplate",
        metadata: { name: templateName, ...inNamespace(before) },
        spec: { spec: { devices: { requests } } },
      },
      comments: [
        `For the pods of ${kind} ${name}: ${
          interfaces.map((each) => `${each.interface} in ${each.network}`).join(", ")
        }.`,
      ],
    });
    const claimName = new Names(claims).takeLabel("networks");
    const { after, patch } = withClaim(before, {
      name: claimName,
      templateName,
      resources: [...resources],
    });
    this.#workloads.push({
      object: after,
      before,
      patch,
      comments: [...comments].map((each) => `DECIDE: ${each}`),
    });
    return { resourceClaimTemplate: templateName, interfaces };
  }

  #decide(object: FileObject, decision: string, comments: Set<string>): void {
    if (comments.has(decision)) return;
    comments.add(decision);
    this.#find("decide", object, decision);
  }

  #networkOf(element: NetworkElement, namespace: string): MovedNetwork {
    const key = `${element.namespace ?? namespace}/${element.name}`;
    const network = this.#networks.get(key);
    if (network?.is === "moved") return network;
    if (network) {
      throw new FieldError(
        element.path,
        `uses NetworkAttachmentDefinition ${key}, which stays with Multus`,
      );
    }
    const names = [...this.#networks.keys()];
    const other = names.find((each) => each.split("/")[1] === element.name) ?? nearest(key, names);
    const hint = other === undefined ? "" : `; did you mean ${other}?`;
    throw new FieldError(
      element.path,
      `NetworkAttachmentDefinition ${key} is not among the objects that were read${hint}`,
    );
  }

  #namesIn(namespace: string): Names {
    const names = this.#templateNames.get(namespace) ?? new Names();
    this.#templateNames.set(namespace, names);
    return names;
  }
}

/** Messages repeat what stands in the files, however long that is. */
function shortened(text: string, most = 600): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

const FIXED_ADDRESS =
  "Only one pod at a time can have a fixed address: let the old pod end before the new one starts " +
  "(strategy: { type: Recreate }).";

/** What a patch does not change on a cluster. */
const IMMUTABLE: Readonly<Record<string, string>> = {
  Pod: "A pod's claims are fixed: delete the pod and create it again.",
  Job: "A Job's pods are fixed: delete the Job and create it again, or wait until it has ended.",
  ReplicaSet: "A ReplicaSet does not replace its pods: delete them after the change.",
};

function whereIs({ place: { file, line }, title }: FileObject) {
  return { file, line, object: title };
}

function inNamespace({ metadata: { namespace } }: Manifest): { readonly namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

/** `NAMESPACE/NAME` of a definition, as far as it says. */
function shownKey({ unread }: FileObject): string {
  const { namespace, name } = (unread?.metadata ?? {}) as Fields;
  const word = (value: unknown, other: string) => typeof value === "string" ? value : other;
  return `${word(namespace, DEFAULT_NAMESPACE)}/${word(name, "?")}`;
}

function claimNames(manifest: Manifest): string[] {
  const { resourceClaims } = (templateOf(manifest).spec ?? {}) as Fields;
  return objectsIn(resourceClaims).map(({ name }) => `${name}`);
}

/** Names of objects that the files bring themselves. */
function takenNames(objects: readonly FileObject[]) {
  const classes: string[] = [];
  const networks: string[] = [];
  const templates = new Map<string, string[]>();
  for (const { manifest } of objects) {
    if (manifest?.kind === "DeviceClass") classes.push(manifest.metadata.name);
    if (manifest?.kind === "Network") networks.push(manifest.metadata.name);
    if (manifest?.kind !== "ResourceClaimTemplate") continue;
    const { namespace = DEFAULT_NAMESPACE, name } = manifest.metadata;
    templates.set(namespace, [...templates.get(namespace) ?? [], name]);
  }
  return { classes, networks, templates };
}
