import { type Document, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from "yaml";
import { errorMessage } from "../async/error_message.ts";
import type { Fields, Manifest } from "./manifest.ts";
import { CLAIM_API, type Treatment, treatmentOf } from "./kinds.ts";
import { validateManifest } from "./validation.ts";

/** Where an object stands. */
export interface Place {
  readonly file: string;
  /** Its first line. */
  readonly line: number;
  /** The line of a field, or of the nearest around it. */
  readonly lineOf: (path: string) => number;
}

/** An object of a file, with what would be wrong with it on a cluster. */
export interface FileObject {
  readonly place: Place;
  /** `ResourceClaim lan`, as far as it says. */
  readonly title: string;
  /** What is tried of it; undefined where that cannot be told. */
  readonly treatment?: Treatment;
  /** In v1; undefined where it is not an object. */
  readonly manifest?: Manifest;
  /** Why it would be refused. */
  readonly problem?: Error;
}

/**
 * Reads the objects of a YAML file as Kubernetes reads it: YAML 1.1, in which `no` and `off` are false.
 * Objects of older versions of resource.k8s.io become v1.
 *
 * @param seen where each object stood that was read before, to be shared by files that belong together
 */
export function readObjects(
  yaml: string,
  file: string,
  seen: Map<string, string> = new Map(),
): FileObject[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(yaml, {
    version: "1.1",
    schema: "yaml-1.1",
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !isText(tag)),
    merge: true,
    uniqueKeys: true,
    lineCounter: lines,
  });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document): FileObject[] => {
    const placeOf = placesIn(document, lines, file);
    const [error] = document.errors;
    if (error) {
      const line = error.linePos?.[0]?.line ?? placeOf([]).line;
      const place = { file, line, lineOf: () => line };
      return [{ place, title: "YAML", problem: new Error(error.message) }];
    }
    const value = document.toJS();
    if (value === null || value === undefined) return [];
    return items(value).map(([item, path]) => readObject(item, placeOf(path), seen));
  });
}

/**
 * The objects of a YAML file that are run, and whatever has pods.
 *
 * @throws Error that names the file and the line
 */
export function parseManifests(
  yaml: string,
  file: string,
  seen: Map<string, string> = new Map(),
): Manifest[] {
  return readObjects(yaml, file, seen).flatMap((object) => {
    const { place: { line }, problem, manifest, treatment } = object;
    if (problem) throw new Error(`${file}:${line}: ${problem.message}`);
    const isRun = treatment?.how === "run" || treatment?.how === "workload";
    return manifest && isRun ? [manifest] : [];
  });
}

/**
 * What YAML 1.1 has and Kubernetes has not: JSON knows no dates and sets, and Go's reader no numbers
 * to the base of 60, as which a MAC address could be read.
 */
function isText(tag: { readonly tag: string; readonly format?: string }): boolean {
  return NO_JSON.includes(tag.tag) || tag.format === "TIME";
}

const NO_JSON = [
  "tag:yaml.org,2002:timestamp",
  "tag:yaml.org,2002:binary",
  "tag:yaml.org,2002:set",
  "tag:yaml.org,2002:omap",
  "tag:yaml.org,2002:pairs",
];

/** Lines of the fields of a document's objects. */
function placesIn(document: Document.Parsed, lines: LineCounter, file: string) {
  const lineAt = (path: readonly (string | number)[]) => {
    let offset = document.contents?.range?.[0] ?? document.range[0];
    for (let depth = 1; depth <= path.length; depth++) {
      const parent = document.getIn(path.slice(0, depth - 1), true);
      const key = path[depth - 1]!;
      const pair = isMap(parent)
        ? parent.items.find((item) => isScalar(item.key) && item.key.value === key)?.key
        : isSeq(parent)
        ? parent.items[Number(key)]
        : undefined;
      const start = (pair as { range?: readonly number[] } | undefined)?.range?.[0];
      if (start === undefined) break;
      offset = start;
    }
    return lines.linePos(offset).line;
  };
  return (base: readonly (string | number)[]): Place => ({
    file,
    line: lineAt(base),
    lineOf: (path) => lineAt([...base, ...steps(path)]),
  });
}

/** `spec.requests[0].name` → spec, requests, 0, name. */
function steps(path: string): (string | number)[] {
  const found = path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g);
  return [...found].map(([, quoted, index, word]) =>
    index !== undefined ? Number(index) : quoted !== undefined ? JSON.parse(`"${quoted}"`) : word!
  );
}

/** The items of a List, or the one object, each with its path. */
function items(value: unknown): [unknown, (string | number)[]][] {
  const { kind, items } = (value ?? {}) as Fields;
  return typeof kind === "string" && kind.endsWith("List") && Array.isArray(items)
    ? items.map((item, i) => [item, ["items", i]])
    : [[value, []]];
}

function readObject(value: unknown, place: Place, seen: Map<string, string>): FileObject {
  let title = "object";
  let found: Pick<FileObject, "treatment" | "manifest"> = {};
  try {
    if (!isObject(value)) throw new Error("this is not a Kubernetes object");
    const { apiVersion, kind, metadata } = value as Manifest;
    if (typeof kind !== "string" || typeof apiVersion !== "string") {
      throw new Error("apiVersion and kind must say what this is");
    }
    title = kind;
    const name: unknown = metadata?.name;
    const treatment = treatmentOf(apiVersion, kind);
    found = { treatment };
    if (name !== undefined && name !== null && name !== "") title = `${kind} ${name}`;
    else if (treatment.how !== "pass over") throw new Error(`${kind}: metadata.name is missing`);
    if (treatment.how === "pass over" || treatment.how === "not simulated") {
      return { place, title, treatment };
    }
    const manifest = inV1(value as Manifest);
    found = { treatment, manifest };
    assertNew(manifest, place, seen);
    validated(manifest, title);
    return { place, title, treatment, manifest };
  } catch (error) {
    return { place, title, ...found, problem: error as Error };
  }
}

function assertNew(
  { kind, metadata: { namespace = "default", name } }: Manifest,
  { file, line }: Place,
  seen: Map<string, string>,
): void {
  const key = kind === "DeviceClass" ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
  const before = seen.get(key);
  if (before) throw new Error(`${key} stands at ${before} already; give it another name`);
  seen.set(key, `${file}:${line}`);
}

function validated(manifest: Manifest, title: string): void {
  try {
    validateManifest(manifest);
  } catch (error) {
    throw new Error(`${title}: ${errorMessage(error)}`, { cause: error });
  }
}

function inV1(manifest: Manifest): Manifest {
  const [group, version = ""] = manifest.apiVersion.split("/");
  if (`${group}/v1` !== CLAIM_API) return manifest;
  return { ...convert(manifest, version), apiVersion: CLAIM_API };
}

/** Up to v1beta1 a request's fields stood in the request itself; later they stand in `exactly`. */
function convert(manifest: Manifest, version: string): Manifest {
  if (version === "v1" || version === "v1beta2") return manifest;
  switch (manifest.kind) {
    case "ResourceClaim":
      return { ...manifest, spec: convertClaimSpec(manifest.spec) };
    case "ResourceClaimTemplate": {
      const { spec } = manifest;
      if (!isObject(spec)) return manifest;
      return { ...manifest, spec: { ...spec, spec: convertClaimSpec(spec.spec) } };
    }
    default:
      return manifest;
  }
}

/** What is not as it should be stays as it is: validation says so. */
function convertClaimSpec(spec: unknown): unknown {
  if (!isObject(spec) || !isObject(spec.devices)) return spec;
  const { requests } = spec.devices;
  if (!Array.isArray(requests)) return spec;
  const converted = requests.map((request: unknown) => {
    if (!isObject(request)) return request;
    const { name, firstAvailable, ...exactly } = request;
    return firstAvailable === undefined ? { name, exactly } : { name, firstAvailable };
  });
  return { ...spec, devices: { ...spec.devices, requests: converted } };
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
