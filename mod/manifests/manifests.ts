import { type Document, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from "yaml";
import { nearest } from "../claim/did_you_mean.ts";
import { FieldError, join, object, show } from "../claim/field.ts";
import type { Fields, Manifest } from "./manifest.ts";
import { CLAIM_API, type Treatment, treatmentOf } from "./kinds.ts";
import { validateManifest } from "./validation.ts";
import { readDocument } from "../yaml/document.ts";

/** The place of an object in its file. */
export interface Place {
  readonly file: string;
  /** Its first line. */
  readonly line: number;
  /** The line of a field, or of the nearest around it. */
  readonly lineOf: (path: string) => number;
}

/** Why an object would be refused, or cannot be read. */
export interface FileProblem {
  readonly line: number;
  /** Counted from 1; only if the YAML cannot be read. */
  readonly column?: number;
  /** It names the field, not the object. */
  readonly message: string;
}

/** An object of a file, and what would be wrong with it on a cluster. */
export interface FileObject {
  readonly place: Place;
  /** Such as `ResourceClaim lan`, as far as it is known. */
  readonly title: string;
  /** What is done with it; undefined if that is unknown. */
  readonly treatment?: Treatment;
  /** In v1; undefined if it is not an object. */
  readonly manifest?: Manifest;
  /** As it stands, where it is of a kind that is not simulated. */
  readonly unread?: Fields;
  /** A Namespace, whose labels say which networks are for it. */
  readonly namespace?: Manifest;
  readonly problem?: FileProblem;
}

/**
 * Reads the objects of a YAML file as Kubernetes reads it: YAML 1.1, in which `no` and `off` are false.
 * Objects of older versions of resource.k8s.io become v1.
 *
 * @param seen the places of the objects read so far; pass the same map for files that belong together
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
    prettyErrors: false,
    lineCounter: lines,
  });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document): FileObject[] => {
    const placeOf = placesIn(document, lines, file);
    const read = readDocument(yaml, document);
    if ("problem" in read) {
      const { problem } = read;
      const place = { file, line: problem.line, lineOf: () => problem.line };
      return [{ place, title: "YAML", problem }];
    }
    const { value } = read;
    if (value === null || value === undefined) return [];
    return items(value).map(([item, path]) => readObject(item, placeOf(path), seen));
  });
}

/**
 * The objects of a YAML file that are run, and the workloads.
 *
 * @throws Error that names the file and the line
 */
export function parseManifests(
  yaml: string,
  file: string,
  seen: Map<string, string> = new Map(),
): Manifest[] {
  return readObjects(yaml, file, seen).flatMap((object) => {
    const { problem, manifest, treatment } = object;
    if (problem) throw refusal(object, problem);
    const isRun = treatment?.how.startsWith("run") || treatment?.how === "workload";
    return manifest && isRun ? [manifest] : [];
  });
}

/** The error for an object that would be refused: file, line, object, field, what is wrong. */
export function refusal(
  { place: { file }, title }: FileObject,
  { line, column, message }: FileProblem,
): Error {
  const at = [file, line, ...column === undefined ? [] : [column]].join(":");
  return new Error(`${at}: ${title}: ${message}`);
}

/**
 * Tags of YAML 1.1 that Kubernetes does not support: JSON has no dates or sets, and Go's YAML library
 * does not read sexagesimal numbers, which a MAC address could be mistaken for.
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
  let found: Pick<FileObject, "treatment" | "manifest" | "unread"> = {};
  try {
    if (!isObject(value)) throw new Error(`must be a Kubernetes object, not ${show(value)}`);
    const { apiVersion, kind, metadata } = value as Manifest;
    for (const field of ["apiVersion", "kind"]) assertType(value, field);
    const name: unknown = metadata?.name;
    title = name ? `${kind} ${name}` : kind;
    const treatment = treatmentOf(apiVersion, kind);
    found = { treatment };
    if (treatment.how === "pass over") {
      const isNamespace = apiVersion === "v1" && kind === "Namespace" && typeof name === "string";
      const namespace = isNamespace && { namespace: value as Manifest };
      return { place, title, treatment, unread: value, ...namespace };
    }
    if (treatment.how === "not simulated") return { place, title, treatment, unread: value };
    if (treatment.how === "run if named") found = { ...found, unread: value };
    object(value, "", FIELDS);
    object(metadata ?? {}, "metadata");
    if (name === undefined || name === null || name === "") {
      const meant = Object.keys(metadata ?? {}).find((key) => nearest(key, ["name"]));
      throw new FieldError("metadata.name", `is missing${meant ? ` (is it ${show(meant)}?)` : ""}`);
    }
    const manifest = inV1(value as Manifest);
    found = { ...found, manifest };
    assertNew(manifest, place, seen);
    validateManifest(manifest);
    return { place, title, ...found };
  } catch (error) {
    const line = error instanceof FieldError ? place.lineOf(error.path) : place.line;
    return { place, title, ...found, problem: { line, message: (error as Error).message } };
  }
}

/** The fields of the objects that are checked. */
const FIELDS = ["apiVersion", "kind", "metadata", "spec", "status"];

/** @throws FieldError unless the field is text: apiVersion and kind must be. */
function assertType(value: Fields, field: string): void {
  const given = value[field];
  if (typeof given === "string" && given !== "") return;
  const meant = Object.keys(value).find((key) => nearest(key, [field]) !== undefined);
  if (given === undefined && meant !== undefined) {
    throw new FieldError(join("", meant), `is not known (did you mean ${show(field)}?)`);
  }
  throw new FieldError(
    field,
    given === undefined
      ? "is missing: apiVersion and kind must say what this is"
      : `must be a string, not ${show(given)}`,
  );
}

function assertNew(
  { kind, metadata: { namespace = "default", name } }: Manifest,
  { file, line }: Place,
  seen: Map<string, string>,
): void {
  const key = kind === "DeviceClass" || kind === "Network"
    ? `${kind} ${name}`
    : `${kind} ${namespace}/${name}`;
  const before = seen.get(key);
  if (before) throw new Error(`is already defined at ${before}: use another name`);
  seen.set(key, `${file}:${line}`);
}

function inV1(manifest: Manifest): Manifest {
  const [group, version = ""] = manifest.apiVersion.split("/");
  if (`${group}/v1` !== CLAIM_API) return manifest;
  return { ...convert(manifest, version), apiVersion: CLAIM_API };
}

/** Up to v1beta1, a request had these fields itself; later versions have them in `exactly`. */
function convert(manifest: Manifest, version: string): Manifest {
  if (version === "v1" || version === "v1beta2") return manifest;
  switch (manifest.kind) {
    case "ResourceClaim":
      return { ...manifest, spec: convertClaimSpec(manifest.spec, "spec", version) };
    case "ResourceClaimTemplate": {
      const { spec } = manifest;
      if (!isObject(spec)) return manifest;
      return {
        ...manifest,
        spec: { ...spec, spec: convertClaimSpec(spec.spec, "spec.spec", version) },
      };
    }
    default:
      return manifest;
  }
}

/** Leaves invalid values unchanged, for validation to report. */
function convertClaimSpec(spec: unknown, path: string, version: string): unknown {
  if (!isObject(spec) || !isObject(spec.devices)) return spec;
  const { requests } = spec.devices;
  if (!Array.isArray(requests)) return spec;
  const converted = requests.map((request: unknown, i) => {
    if (!isObject(request)) return request;
    if (request.exactly !== undefined) {
      const problem = `is not a field in ${version}: use apiVersion ${CLAIM_API}`;
      throw new FieldError(`${path}.devices.requests[${i}].exactly`, problem);
    }
    const { name, firstAvailable, ...exactly } = request;
    return firstAvailable === undefined ? { name, exactly } : { name, firstAvailable };
  });
  return { ...spec, devices: { ...spec.devices, requests: converted } };
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
