import { chartClasses } from "./chart_classes.ts";
import { driverMistake, driverOf } from "./drivers.ts";
import type { Fields, Manifest } from "./manifest.ts";
import { type FileObject, readObjects, refusal } from "./manifests.ts";
import { isNamed, namedDefinitions } from "./networks.ts";

/** The content of files that belong together. */
export interface FileSet {
  /** The driver name that they use. */
  readonly driver: string;
  /** The objects to run, and the chart's classes that the files do not define. */
  readonly manifests: readonly Manifest[];
  /** The namespaces that the files describe. */
  readonly namespaces: readonly Manifest[];
  /** What says nothing about networks, a line each. */
  readonly passedOver: readonly string[];
  /** Objects and fields that are not simulated, one line each, with what to do. */
  readonly notSimulated: readonly string[];
}

export interface Source {
  readonly file: string;
  readonly text: string;
}

/**
 * Reads files that belong together.
 *
 * @param driver the driver name, if it is given
 * @throws Error for the first mistake, with file and line
 */
export function readFileSet(sources: readonly Source[], driver?: string): FileSet {
  const seen = new Map<string, string>();
  const objects = sources.flatMap(({ file, text }) => readObjects(text, file, seen));
  for (const object of objects) {
    if (object.problem) throw refusal(object, object.problem);
  }
  const unnamed = unnamedDefinitions(objects);
  const own = objects.flatMap((object) =>
    object.manifest && !unnamed.has(object) ? object.manifest : []
  );
  const agent = driver ?? driverOf(own);
  const manifests = [...missingClasses(own, agent), ...own];
  const mistake = firstDriverMistake(objects, { driver: agent, classes: classesOf(manifests) });
  if (mistake) throw mistake;
  return {
    driver: agent,
    manifests,
    namespaces: objects.flatMap(({ namespace }) => namespace ?? []),
    passedOver: objects.filter(({ treatment }) => treatment?.how === "pass over")
      .map(({ title }) => `${title}: passed over: it says nothing about networks`),
    notSimulated: [
      ...objects.flatMap((object) => {
        const advice = notSimulated(object, unnamed);
        return advice === undefined ? [] : [`${object.title}: not simulated: ${advice}`];
      }),
      ...own.flatMap((each) =>
        [...beyondNetworks(each), ...beyondSimulation(each)]
          .map((line) => `${each.kind} ${each.metadata.name}: not simulated: ${line}`)
      ),
    ],
  };
}

/** The NetworkAttachmentDefinitions that no claim and no class of the files names. */
export function unnamedDefinitions(objects: readonly FileObject[]): Set<FileObject> {
  const names = objects.flatMap(({ manifest }) => manifest ? namedDefinitions(manifest) : []);
  return new Set(
    objects.filter(({ treatment, manifest }) =>
      treatment?.how === "run if named" && !(manifest && isNamed(manifest, names))
    ),
  );
}

/** What to do about an object that is not simulated. */
export function notSimulated(
  object: FileObject,
  unnamed: ReadonlySet<FileObject>,
): string | undefined {
  const { treatment } = object;
  const isNot = treatment?.how === "not simulated" || unnamed.has(object);
  return isNot && treatment && "advice" in treatment ? treatment.advice : undefined;
}

export function classesOf(manifests: readonly Manifest[]): Map<string, Manifest> {
  return new Map(
    manifests.filter(({ kind }) => kind === "DeviceClass").map((
      each,
    ) => [each.metadata.name, each]),
  );
}

/** The chart's classes, except those whose names the files define. */
export function missingClasses(own: readonly Manifest[], driver: string): Manifest[] {
  const names = classesOf(own);
  return chartClasses(driver).filter(({ metadata }) => !names.has(metadata.name));
}

function firstDriverMistake(
  objects: readonly FileObject[],
  options: { readonly driver: string; readonly classes: ReadonlyMap<string, Manifest> },
): Error | undefined {
  for (const object of objects) {
    const mistake = object.manifest && driverMistake(object.manifest, options);
    if (!mistake) continue;
    return refusal(object, { line: object.place.lineOf(mistake.path), message: mistake.message });
  }
  return undefined;
}

const MULTUS = "k8s.v1.cni.cncf.io/networks";
/** Fields of a pod that limit it to some nodes. */
const PLACEMENT = ["nodeName", "nodeSelector", "affinity", "topologySpreadConstraints"];

/** What in a pod, or in a workload's pods, asks something other than network-dra for networks. */
export function beyondNetworks(manifest: Manifest): string[] {
  const { annotations } = (podTemplateOf(manifest)?.metadata ?? {}) as { annotations?: Fields };
  const networks = annotations?.[MULTUS];
  if (networks === undefined) return [];
  return [
    `the annotation ${MULTUS} (${networks}) is for Multus: ask for the network by a ResourceClaim, as ` +
    "docs/how-to/from-multus.md shows",
  ];
}

function beyondSimulation(manifest: Manifest): string[] {
  const spec = (podTemplateOf(manifest)?.spec ?? {}) as Fields;
  return PLACEMENT.filter((field) => spec[field] !== undefined).map((field) =>
    `the pod's ${field}`
  );
}

function podTemplateOf({ kind, metadata, spec }: Manifest): Fields | undefined {
  switch (kind) {
    case "Pod":
      return { metadata, spec };
    case "CronJob":
      return ((spec as Fields).jobTemplate as { spec: Fields }).spec.template as Fields;
    case "DeviceClass":
    case "Network":
    case "NetworkAttachmentDefinition":
    case "ResourceClaim":
    case "ResourceClaimTemplate":
      return undefined;
    default:
      return (spec as Fields).template as Fields;
  }
}
