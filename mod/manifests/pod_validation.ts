import { didYouMean, nearest } from "../claim/did_you_mean.ts";
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

/** Names of objects. */
export const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Fields of a pod's spec (Kubernetes 1.34 to 1.37). */
const POD_FIELDS = [
  ...["activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers"],
  ...["dnsConfig", "dnsPolicy", "enableServiceLinks", "ephemeralContainers", "evictionResponders"],
  ...["hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostUsers", "hostname"],
  ...[
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
  ],
  ...["preemptionPolicy", "priority", "priorityClassName", "readinessGates", "resourceClaims"],
  ...["resources", "restartPolicy", "runtimeClassName", "schedulerName", "schedulingGates"],
  ...["schedulingGroup", "securityContext", "serviceAccount", "serviceAccountName"],
  ...["setHostnameAsFQDN", "shareProcessNamespace", "subdomain", "terminationGracePeriodSeconds"],
  ...["tolerations", "topologySpreadConstraints", "volumes", "workloadRef"],
];

/** Fields of a container (Kubernetes 1.34 to 1.37). */
const CONTAINER_FIELDS = [
  ...["args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle"],
  ...["livenessProbe", "name", "ports", "readinessProbe", "resizePolicy", "resources"],
  ...["restartPolicy", "restartPolicyRules", "securityContext", "startupProbe", "stdin"],
  ...["stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty"],
  ...["volumeDevices", "volumeMounts", "workingDir"],
];

/** Checks the fields about claims, that containers have images, and that no field is misspelled. */
export function validatePodSpec(spec: unknown, path: string): void {
  const fields = object(spec, path);
  assertNotMisspelled(POD_FIELDS, fields, path);
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
      const known = object(container, here);
      const { name, image, resources, resourceClaims } = known;
      if (resourceClaims !== undefined) {
        const problem = "is not a field of a container; name its claims in resources.claims";
        throw new FieldError(join(here, "resourceClaims"), problem);
      }
      assertNotMisspelled(CONTAINER_FIELDS, known, here);
      unique(name, { path: join(here, "name"), names: containers });
      text(image, join(here, "image"));
      const place = join(here, "resources");
      const fields = ["limits", "requests", "claims"];
      const used = optional((value, at) => object(value, at, fields), resources, place)?.claims;
      each(used, join(place, "claims"), (entry, there) => {
        const { name, request } = object(entry, there, ["name", "request"]);
        optional(containerRequest, request, join(there, "request"));
        if (claims.has(text(name, join(there, "name")))) return;
        const meant = didYouMean(String(name), [...claims]);
        const problem = `${show(name)} is not among the pod's spec.resourceClaims${meant}`;
        throw new FieldError(join(there, "name"), problem);
      });
    });
  }
}

/** The request whose devices a container gets. It cannot be one of a request's alternatives. */
function containerRequest(value: unknown, path: string): void {
  const [request, alternative] = text(value, path).split("/");
  if (alternative === undefined) return void matching(LABEL, value, path);
  const problem = `${show(value)} names an alternative: name the request alone, ${show(request)}`;
  throw new FieldError(path, problem);
}

/**
 * Refuses unknown fields that look like known ones. Others may be those of a newer Kubernetes, so they
 * are accepted.
 */
function assertNotMisspelled(known: readonly string[], fields: Fields, path: string): void {
  for (const key of Object.keys(fields)) {
    if (known.includes(key) || nearest(key, known) === undefined) continue;
    throw new FieldError(join(path, key), `is unknown${didYouMean(key, known)}`);
  }
}

/** Checks the items of an optional list. */
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
  if (names.has(name)) throw new FieldError(path, `${show(name)} is used twice`);
  names.add(name);
  return name;
}

export function matching(pattern: RegExp, value: unknown, path: string): string {
  const name = text(value, path);
  if (pattern.test(name)) return name;
  const dot = pattern === NAME ? ', "."' : "";
  throw new FieldError(path, `${show(name)} must be made of a to z, 0 to 9${dot} and "-"`);
}
