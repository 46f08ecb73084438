import { LineCounter, parseAllDocuments } from "yaml";
import type { Fields, Manifest } from "./manifest.ts";
import { validateManifest } from "./manifest_validation.ts";
import { errorMessage } from "../async/error_message.ts";

const GROUP = "resource.k8s.io";
const OLD_VERSIONS = ["v1alpha3", "v1beta1", "v1beta2"];
const RUN_KINDS = ["ResourceClaim", "ResourceClaimTemplate", "DeviceClass", "Pod"];
/** Read past: they say nothing that a simulated node needs. */
const IGNORED_KINDS = ["Namespace", "ServiceAccount"];

/**
 * Reads the manifests of a YAML file as Kubernetes reads it: YAML 1.1, in which `no` and `off` are
 * false. Objects of older versions of resource.k8s.io become v1.
 *
 * @param seen where each object stood that was read before, to be shared by files that belong together
 * @throws Error that names the file and the line
 */
export function parseManifests(
  yaml: string,
  file: string,
  seen: Map<string, string> = new Map(),
): Manifest[] {
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
  const manifests: Manifest[] = [];
  for (const document of documents) {
    const line = lines.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
    const [error] = document.errors;
    if (error) throw new Error(`${file}:${error.linePos?.[0]?.line ?? line}: ${error.message}`);
    const value = document.toJS();
    if (value === null || value === undefined) continue;
    try {
      for (const manifest of objects(value).flatMap(read)) {
        const { kind, metadata: { namespace = "default", name } } = manifest;
        const key = kind === "DeviceClass" ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
        const before = seen.get(key);
        if (before) throw new Error(`${key} stands at ${before} already; give it another name`);
        seen.set(key, `${file}:${line}`);
        manifests.push(manifest);
      }
    } catch (error) {
      throw new Error(`${file}:${line}: ${errorMessage(error)}`);
    }
  }
  return manifests;
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

/** The items of a List, or the one object. */
function objects(value: unknown): unknown[] {
  const { kind, items } = (value ?? {}) as Fields;
  return typeof kind === "string" && kind.endsWith("List") && Array.isArray(items)
    ? items
    : [value];
}

function read(value: unknown): Manifest[] {
  if (!isObject(value)) throw new Error("this is no Kubernetes object");
  const manifest = value as Manifest;
  const { apiVersion, kind } = manifest;
  if (typeof kind !== "string" || typeof apiVersion !== "string") {
    throw new Error("apiVersion and kind must say what this is");
  }
  if (IGNORED_KINDS.includes(kind)) return [];
  if (!RUN_KINDS.includes(kind)) {
    throw new Error(`${kind} is not simulated; ${RUN_KINDS.join(", ")} are`);
  }
  const name: unknown = manifest.metadata?.name;
  if (name === undefined || name === null || name === "") {
    throw new Error(`${kind}: metadata.name is missing`);
  }
  const [group, version = ""] = apiVersion.split("/");
  if (kind === "Pod") {
    if (apiVersion !== "v1") throw new Error(`Pod: apiVersion ${apiVersion} is not known; v1 is`);
    return [checked(manifest)];
  }
  if (group !== GROUP || version !== "v1" && !OLD_VERSIONS.includes(version)) {
    throw new Error(
      `${kind}: apiVersion ${apiVersion} is not known; ${GROUP}/v1, ${OLD_VERSIONS.join(", ")} are`,
    );
  }
  return [checked({ ...convert(manifest, version), apiVersion: `${GROUP}/v1` })];
}

function checked(manifest: Manifest): Manifest {
  try {
    validateManifest(manifest);
    return manifest;
  } catch (error) {
    const { kind, metadata: { name } } = manifest;
    throw new Error(`${kind} ${name}: ${errorMessage(error)}`);
  }
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
