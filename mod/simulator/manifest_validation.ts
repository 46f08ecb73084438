import {
  array,
  FieldError,
  type Fields,
  join,
  LABEL,
  object,
  optional,
  show,
  text,
} from "../claim/field.ts";
import type { Manifest } from "./manifest.ts";

const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

const SELECTION = ["deviceClassName", "selectors", "allocationMode", "count", "tolerations"];
const MORE = ["capacity", "derivedAttributes"];

/**
 * What of a manifest in resource.k8s.io/v1, or of a Pod, an API server would refuse, and kubectl before
 * it: fields that are not known, of a wrong type, or that name what is not there. Else a mistake would
 * look as if it had been tried.
 *
 * @throws FieldError
 */
export function validateManifest({ kind, metadata, spec }: Manifest): void {
  matching(NAME, metadata.name, "metadata.name");
  optional((value, path) => matching(LABEL, value, path), metadata.namespace, "metadata.namespace");
  switch (kind) {
    case "ResourceClaim":
      return claimSpec(spec, "spec");
    case "ResourceClaimTemplate":
      return claimSpec(object(spec, "spec", ["metadata", "spec"]).spec, "spec.spec");
    case "DeviceClass":
      return classSpec(spec, "spec");
    case "Pod":
      return podSpec(spec, "spec");
  }
}

function claimSpec(spec: unknown, path: string): void {
  const at = join(path, "devices");
  const { devices } = object(spec, path, ["devices"]);
  const known = object(devices, at, ["requests", "constraints", "config"]);
  const names = new Set<string>();
  each(known.requests, join(at, "requests"), (request, here) => {
    const fields = object(request, here, ["name", "exactly", "firstAvailable"]);
    const name = unique(fields.name, { path: join(here, "name"), names });
    optional(
      (value, path) => selection(value, path, ["adminAccess"]),
      fields.exactly,
      `${here}.exactly`,
    );
    each(fields.firstAvailable, join(here, "firstAvailable"), (alternative, place) => {
      const { name: own } = selection(alternative, place, ["name"]);
      names.add(`${name}/${matching(LABEL, own, join(place, "name"))}`);
    });
  });
  const requests = (value: unknown, place: string) =>
    each(value, join(place, "requests"), (request, here) => {
      if (names.has(text(request, here))) return;
      const known = [...names].join(", ") || "none";
      throw new FieldError(here, `${show(request)} is no request of the claim, which has ${known}`);
    });
  each(known.constraints, join(at, "constraints"), (constraint, here) => {
    const keys = ["requests", "matchAttribute", "distinctAttribute"];
    requests(object(constraint, here, keys).requests, here);
  });
  each(known.config, join(at, "config"), (entry, here) => {
    requests(configuration(entry, here, ["requests"]).requests, here);
  });
}

function classSpec(spec: unknown, path: string): void {
  const keys = ["selectors", "config", "extendedResourceName"];
  const { selectors: given, config } = optional((all, at) => object(all, at, keys), spec, path) ??
    {};
  selectors(given, path);
  each(config, join(path, "config"), (entry, here) => configuration(entry, here, []));
}

/** What a request, or an alternative of one, says about devices. */
function selection(value: unknown, path: string, more: readonly string[]): Fields {
  const fields = object(value, path, [...more, ...SELECTION, ...MORE]);
  text(fields.deviceClassName, join(path, "deviceClassName"));
  selectors(fields.selectors, path);
  const { allocationMode: mode, count } = fields;
  if (mode !== undefined && mode !== "ExactCount" && mode !== "All") {
    const at = join(path, "allocationMode");
    throw new FieldError(at, `${show(mode)} is not known; allowed are ExactCount, All`);
  }
  if (count !== undefined && !(Number.isInteger(count) && count as number >= 0)) {
    throw new FieldError(join(path, "count"), `must be a whole number, not ${show(count)}`);
  }
  return fields;
}

function selectors(value: unknown, path: string): void {
  each(value, join(path, "selectors"), (selector, here) => {
    const { cel } = object(selector, here, ["cel"]);
    const at = join(here, "cel");
    text(object(cel, at, ["expression"]).expression, join(at, "expression"));
  });
}

/** What parameters hold, the agent says itself. */
function configuration(entry: unknown, path: string, more: readonly string[]): Fields {
  const fields = object(entry, path, [...more, "opaque"]);
  const at = join(path, "opaque");
  const { driver, parameters } = object(fields.opaque, at, ["driver", "parameters"]);
  text(driver, join(at, "driver"));
  object(parameters, join(at, "parameters"));
  return fields;
}

/** Only what has to do with claims: a Pod has many fields more. */
function podSpec(spec: unknown, path: string): void {
  const fields = object(spec, path);
  const claims = new Set<string>();
  const sources = ["resourceClaimName", "resourceClaimTemplateName"];
  each(fields.resourceClaims, join(path, "resourceClaims"), (entry, here) => {
    const known = object(entry, here, ["name", ...sources]);
    unique(known.name, { path: join(here, "name"), names: claims });
    const [source, ...others] = sources.filter((key) => known[key] !== undefined);
    if (source === undefined || others.length > 0) {
      throw new FieldError(here, `must have one of ${sources.join(" and ")}`);
    }
    text(known[source], join(here, source));
  });
  const containers = new Set<string>();
  const at = join(path, "containers");
  if (array(fields.containers, at).length === 0) throw new FieldError(at, "must have a container");
  for (const key of ["initContainers", "containers"]) {
    each(fields[key], join(path, key), (container, here) => {
      const { name, resources } = object(container, here);
      unique(name, { path: join(here, "name"), names: containers });
      const place = join(here, "resources");
      const used = optional(object, resources, place)?.claims;
      each(used, join(place, "claims"), (entry, there) => {
        const { name } = object(entry, there, ["name", "request"]);
        if (claims.has(text(name, join(there, "name")))) return;
        const problem = `${show(name)} is not among the pod's spec.resourceClaims`;
        throw new FieldError(join(there, "name"), problem);
      });
    });
  }
}

/** The items of a list that may be left out. */
function each(value: unknown, path: string, check: (item: unknown, path: string) => void): void {
  optional(array, value, path)?.forEach((item, i) => check(item, `${path}[${i}]`));
}

function unique(
  value: unknown,
  { path, names }: { readonly path: string; readonly names: Set<string> },
): string {
  const name = matching(LABEL, value, path);
  if (names.has(name)) throw new FieldError(path, `${show(name)} is there twice`);
  names.add(name);
  return name;
}

function matching(pattern: RegExp, value: unknown, path: string): string {
  const name = text(value, path);
  if (pattern.test(name)) return name;
  const dot = pattern === NAME ? ', "."' : "";
  throw new FieldError(path, `${show(name)} must be made of a to z, 0 to 9${dot} and "-"`);
}
