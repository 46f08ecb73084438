import {
  FieldError,
  type Fields,
  join,
  LABEL,
  object,
  optional,
  show,
  text,
} from "../claim/field.ts";
import { didYouMean } from "../claim/did_you_mean.ts";
import { parseDefinition } from "../networks/definition.ts";
import { parseNetwork } from "../networks/network_object.ts";
import { compileSelector, SelectorError } from "../selectors/selector.ts";
import type { Manifest } from "./manifest.ts";
import { each, matching, NAME, unique, validatePodSpec } from "./pod_validation.ts";
import { validateWorkload } from "./workload_validation.ts";

const SELECTION = ["deviceClassName", "selectors", "allocationMode", "count", "tolerations"];
const MORE = ["capacity", "derivedAttributes"];

/**
 * Refuses what the API server, or kubectl before it, would refuse in a manifest of resource.k8s.io/v1 or
 * in a Pod: unknown fields, wrong types, and names of things that do not exist. Otherwise a mistake could
 * look as if it had been tried successfully.
 *
 * @throws FieldError
 */
export function validateManifest(manifest: Manifest): void {
  const { kind, metadata, spec } = manifest;
  matching(NAME, metadata.name, "metadata.name");
  optional((value, path) => matching(LABEL, value, path), metadata.namespace, "metadata.namespace");
  switch (kind) {
    case "ResourceClaim":
      return claimSpec(spec, "spec");
    case "ResourceClaimTemplate":
      return claimSpec(specOfTemplate(spec), "spec.spec");
    case "DeviceClass":
      return classSpec(spec, "spec");
    case "Network":
      return void parseNetwork(manifest);
    case "NetworkAttachmentDefinition":
      return void parseDefinition({ metadata: { namespace: "default", ...metadata }, spec });
    case "Pod":
      return validatePodSpec(spec, "spec");
    default:
      return validateWorkload(kind, spec);
  }
}

function specOfTemplate(spec: unknown): unknown {
  if (object(spec, "spec").devices === undefined) {
    return object(spec, "spec", ["metadata", "spec"]).spec;
  }
  throw new FieldError(
    "spec.devices",
    "a template has the claim's spec in spec.spec: move it there",
  );
}

function claimSpec(spec: unknown, path: string): void {
  const at = join(path, "devices");
  const { devices } = object(spec, path, ["devices"]);
  const known = object(devices, at, ["requests", "constraints", "config"]);
  const names = new Set<string>();
  each(known.requests, join(at, "requests"), (request, here) => {
    const fields = object(request, here, ["name", "exactly", "firstAvailable"]);
    const name = unique(fields.name, { path: join(here, "name"), names });
    const ways = ["exactly", "firstAvailable"].filter((key) => fields[key] !== undefined);
    if (ways.length !== 1) {
      throw new FieldError(here, 'must have one of "exactly" and "firstAvailable"');
    }
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
      const meant = didYouMean(String(request), [...names]);
      const problem = `${
        show(request)
      } is not a request of the claim; its requests are ${known}${meant}`;
      throw new FieldError(here, problem);
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
  const fields = optional((all, at) => object(all, at, keys), spec, path) ?? {};
  const { selectors: given, config, extendedResourceName } = fields;
  selectors(given, path);
  optional(resourceName, extendedResourceName, join(path, "extendedResourceName"));
  each(config, join(path, "config"), (entry, here) => configuration(entry, here, []));
}

/** Checks the devices that a request, or one of its alternatives, asks for. */
function selection(value: unknown, path: string, more: readonly string[]): Fields {
  const fields = object(value, path, [...more, ...SELECTION, ...MORE]);
  text(fields.deviceClassName, join(path, "deviceClassName"));
  selectors(fields.selectors, path);
  const { allocationMode: mode, count } = fields;
  if (mode !== undefined && mode !== "ExactCount" && mode !== "All") {
    const at = join(path, "allocationMode");
    throw new FieldError(at, `${show(mode)} is unknown; must be one of ExactCount, All`);
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
    const place = join(at, "expression");
    const expression = text(object(cel, at, ["expression"]).expression, place);
    try {
      compileSelector(expression);
    } catch (error) {
      // An expression that cannot be evaluated here may still be valid.
      if (!(error instanceof SelectorError)) return;
      throw new FieldError(place, `Invalid value: ${show(expression)}: ${error.message}`);
    }
  });
}

/** Such as `example.com/lan`: what containers ask for in `resources.requests`. */
function resourceName(value: unknown, path: string): void {
  const name = text(value, path);
  if (/^[a-z0-9.-]+\/[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(name)) return;
  throw new FieldError(path, `${show(name)} must be a domain and a name, such as example.com/lan`);
}

/** The agent checks the parameters itself. */
function configuration(entry: unknown, path: string, more: readonly string[]): Fields {
  const fields = object(entry, path, [...more, "opaque"]);
  const at = join(path, "opaque");
  const { driver, parameters } = object(fields.opaque, at, ["driver", "parameters"]);
  text(driver, join(at, "driver"));
  object(parameters, join(at, "parameters"));
  return fields;
}
