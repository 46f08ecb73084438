import { didYouMean } from "../claim/did_you_mean.ts";
import { array, FieldError, join, LABEL, object, optional, show, text } from "../claim/field.ts";

/** Names of objects. */
export const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Only what has to do with claims: a Pod has many fields more. */
export function validatePodSpec(spec: unknown, path: string): void {
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
        const meant = didYouMean(String(name), [...claims]);
        const problem = `${show(name)} is not among the pod's spec.resourceClaims${meant}`;
        throw new FieldError(join(there, "name"), problem);
      });
    });
  }
}

/** The items of a list that may be left out. */
export function each(
  value: unknown,
  path: string,
  check: (item: unknown, path: string) => void,
): void {
  optional(array, value, path)?.forEach((item, i) => check(item, `${path}[${i}]`));
}

export function unique(
  value: unknown,
  { path, names }: { readonly path: string; readonly names: Set<string> },
): string {
  const name = matching(LABEL, value, path);
  if (names.has(name)) throw new FieldError(path, `${show(name)} is there twice`);
  names.add(name);
  return name;
}

export function matching(pattern: RegExp, value: unknown, path: string): string {
  const name = text(value, path);
  if (pattern.test(name)) return name;
  const dot = pattern === NAME ? ', "."' : "";
  throw new FieldError(path, `${show(name)} must be made of a to z, 0 to 9${dot} and "-"`);
}
