import { chartClasses } from "./chart_classes.ts";
import { driverMistake, driverOf } from "./drivers.ts";
import type { Fields, Manifest } from "./manifest.ts";
import { type FileObject, readObjects } from "./manifests.ts";

/** What some files hold together. */
export interface FileSet {
  /** The agent's name in them. */
  readonly driver: string;
  /** All that is run, and the classes of the chart that the files do not bring. */
  readonly manifests: readonly Manifest[];
  /** What says nothing about networks, a line each. */
  readonly passedOver: readonly string[];
  /** What is not simulated, a line each, with what to do. */
  readonly notSimulated: readonly string[];
}

export interface Source {
  readonly file: string;
  readonly text: string;
}

/**
 * Reads files that belong together.
 *
 * @param driver the agent's name, where it is given
 * @throws Error for the first mistake, that names file and line
 */
export function readFileSet(sources: readonly Source[], driver?: string): FileSet {
  const seen = new Map<string, string>();
  const objects = sources.flatMap(({ file, text }) => readObjects(text, file, seen));
  for (const { problem, place } of objects) {
    if (problem) throw new Error(`${place.file}:${place.line}: ${problem.message}`);
  }
  const own = objects.flatMap(({ manifest }) => manifest ?? []);
  const agent = driver ?? driverOf(own);
  const manifests = [...missingClasses(own, agent), ...own];
  const mistake = firstDriverMistake(objects, { driver: agent, classes: classesOf(manifests) });
  if (mistake) throw mistake;
  return {
    driver: agent,
    manifests,
    passedOver: objects.filter(({ treatment }) => treatment?.how === "pass over")
      .map(({ title }) => `${title}: passed over: it says nothing about networks`),
    notSimulated: [
      ...objects.flatMap(({ title, treatment }) =>
        treatment?.how === "not simulated" ? [`${title}: not simulated: ${treatment.advice}`] : []
      ),
      ...own.flatMap((each) =>
        [...beyondNetworks(each), ...beyondSimulation(each)]
          .map((line) => `${each.kind} ${each.metadata.name}: not simulated: ${line}`)
      ),
    ],
  };
}

export function classesOf(manifests: readonly Manifest[]): Map<string, Manifest> {
  return new Map(
    manifests.filter(({ kind }) => kind === "DeviceClass").map((
      each,
    ) => [each.metadata.name, each]),
  );
}

/** The chart's classes, but for those whose names the files have. */
export function missingClasses(own: readonly Manifest[], driver: string): Manifest[] {
  const names = classesOf(own);
  return chartClasses(driver).filter(({ metadata }) => !names.has(metadata.name));
}

function firstDriverMistake(
  objects: readonly FileObject[],
  options: { readonly driver: string; readonly classes: ReadonlyMap<string, Manifest> },
): Error | undefined {
  for (const { manifest, place, title } of objects) {
    const mistake = manifest && driverMistake(manifest, options);
    if (mistake) {
      return new Error(`${place.file}:${place.lineOf(mistake.path)}: ${title}: ${mistake.message}`);
    }
  }
  return undefined;
}

const MULTUS = "k8s.v1.cni.cncf.io/networks";
/** Fields of a pod by which it lands on some nodes only. */
const PLACEMENT = ["nodeName", "nodeSelector", "affinity", "topologySpreadConstraints"];

/** What of a pod, or a workload's pods, asks others than network-dra for networks. */
export function beyondNetworks(manifest: Manifest): string[] {
  const { annotations } = (podTemplateOf(manifest)?.metadata ?? {}) as { annotations?: Fields };
  const networks = annotations?.[MULTUS];
  if (networks === undefined) return [];
  return [
    `the annotation ${MULTUS} (${networks}) is for Multus: ask for the network by a ResourceClaim, as ` +
    "docs/from-multus.md shows",
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
    case "ResourceClaim":
    case "ResourceClaimTemplate":
      return undefined;
    default:
      return (spec as Fields).template as Fields;
  }
}
