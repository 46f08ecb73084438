import { nearest } from "../claim/did_you_mean.ts";
import { FieldError, type Fields } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import { driverMistake, driverOf } from "../manifests/drivers.ts";
import { beyondNetworks, classesOf, missingClasses, type Source } from "../manifests/file_set.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { type FileObject, readObjects } from "../manifests/manifests.ts";
import { podsOf } from "../manifests/workloads.ts";
import { planProblems } from "./claim_plans.ts";
import type { Problem } from "./problem.ts";

export interface LintOptions {
  /** The agent's name; found in the files where it is not given. */
  readonly driver?: string;
  readonly policy?: Policy;
}

/** What API server, scheduler and agent would say of the objects of files, in the order of the files. */
export function lint(sources: readonly Source[], options: LintOptions = {}): Problem[] {
  const seen = new Map<string, string>();
  const objects = sources.flatMap(({ file, text }) => readObjects(text, file, seen));
  const own = objects.flatMap(({ manifest }) => manifest ?? []);
  const driver = options.driver ?? driverOf(own);
  const classes = classesOf([...missingClasses(own, driver), ...own]);
  const known = new Known(own, classes);
  const about = { driver, classes, policy: options.policy ?? {} };
  return objects.flatMap((object) => problemsOf(object, { ...about, known, objects }));
}

interface Around {
  readonly driver: string;
  readonly classes: ReadonlyMap<string, Manifest>;
  readonly policy: Policy;
  readonly known: Known;
  readonly objects: readonly FileObject[];
}

function problemsOf(object: FileObject, around: Around): Problem[] {
  const { manifest, problem, treatment, title, place } = object;
  const at = (path: string, rest: Pick<Problem, "level" | "rule" | "message">): Problem => ({
    file: place.file,
    line: place.lineOf(path),
    object: title,
    ...rest,
  });
  if (problem) {
    const { cause } = problem;
    const path = cause instanceof FieldError ? cause.path : "";
    const message = problem.message.replace(`${title}: `, "");
    return [at(path, { level: "error", rule: "api-server", message })];
  }
  if (treatment?.how === "not simulated") {
    return [at("", { level: "warning", rule: "not-run", message: treatment.advice })];
  }
  if (!manifest) return [];
  const mistake = driverMistake(manifest, around);
  return [
    ...mistake
      ? [at(mistake.path, { level: "error", rule: "driver", message: mistake.message })]
      : [],
    ...around.known.missing(manifest).map(({ path, message }) =>
      at(path, { level: "warning", rule: "reference", message: `${path}: ${message}` })
    ),
    ...beyondNetworks(manifest).map((message) =>
      at("", { level: "warning", rule: "not-run", message })
    ),
    ...mistake ? [] : ofTheAgent(object, around),
  ];
}

function ofTheAgent({ manifest, title, place }: FileObject, around: Around): Problem[] {
  const { kind } = manifest!;
  if (kind !== "ResourceClaim" && kind !== "ResourceClaimTemplate") return [];
  const base = kind === "ResourceClaim" ? "spec" : "spec.spec";
  return planProblems(manifest!, { ...around, base }).map(
    ({ rule, deviceClass, path, message }) => {
      const owner = deviceClass && around.objects.find((each) => each.manifest === deviceClass);
      const { file, line } = owner
        ? { file: owner.place.file, line: owner.place.lineOf(path) }
        : { file: place.file, line: place.lineOf(path) };
      return {
        level: "error",
        rule,
        file,
        line,
        object: owner?.title ?? title,
        message: `${path}: ${message}`,
      };
    },
  );
}

/** The objects that others can name. */
class Known {
  readonly #names: Readonly<Record<string, readonly string[]>>;

  constructor(own: readonly Manifest[], classes: ReadonlyMap<string, Manifest>) {
    const of = (kind: string) => own.filter((each) => each.kind === kind).map(fullName);
    this.#names = {
      ResourceClaim: of("ResourceClaim"),
      ResourceClaimTemplate: of("ResourceClaimTemplate"),
      DeviceClass: [...classes.keys()],
    };
  }

  /** What a manifest names and is not there: it may be on the cluster already. */
  missing(manifest: Manifest): { readonly path: string; readonly message: string }[] {
    return referencesOf(manifest).flatMap(({ path, kind, name }) => {
      const names = this.#names[kind]!;
      if (names.includes(name)) return [];
      const meant = nearest(name, names);
      const advice = meant === undefined ? "" : `; did you mean ${meant}?`;
      return [{ path, message: `${kind} ${name} is not in the files${advice}` }];
    });
  }
}

interface Reference {
  readonly path: string;
  readonly kind: string;
  readonly name: string;
}

function referencesOf(manifest: Manifest): Reference[] {
  switch (manifest.kind) {
    case "DeviceClass":
      return [];
    case "ResourceClaim":
      return classReferences(manifest.spec as Fields, "spec");
    case "ResourceClaimTemplate":
      return classReferences((manifest.spec as Fields).spec as Fields, "spec.spec");
  }
  const [pod] = podsOf(manifest).pods;
  const { namespace = "default" } = manifest.metadata;
  const entries = ((pod?.spec as Fields | undefined)?.resourceClaims ?? []) as Fields[];
  const at = POD_SPECS[manifest.kind] ?? "spec.template.spec";
  return entries.flatMap((entry, i) =>
    ["ResourceClaim", "ResourceClaimTemplate"].flatMap((kind) => {
      const key = `r${kind.slice(1)}Name`;
      if (typeof entry[key] !== "string") return [];
      return [{
        path: `${at}.resourceClaims[${i}].${key}`,
        kind,
        name: `${namespace}/${entry[key]}`,
      }];
    })
  );
}

/** Where the spec of a pod stands, but for workloads. */
const POD_SPECS: Readonly<Record<string, string>> = {
  Pod: "spec",
  CronJob: "spec.jobTemplate.spec.template.spec",
};

function classReferences(spec: Fields | undefined, base: string): Reference[] {
  const { requests = [] } = (spec?.devices ?? {}) as { requests?: Fields[] };
  return requests.flatMap((request, i) => {
    const at = `${base}.devices.requests[${i}]`;
    const alternatives = (request.firstAvailable ?? []) as Fields[];
    const ways: [Fields, string][] = request.exactly
      ? [[request.exactly as Fields, `${at}.exactly`]]
      : alternatives.map((each, j) => [each, `${at}.firstAvailable[${j}]`]);
    return ways.map(([way, path]) => ({
      path: `${path}.deviceClassName`,
      kind: "DeviceClass",
      name: `${way.deviceClassName}`,
    }));
  });
}

function fullName({ metadata: { namespace = "default", name } }: Manifest): string {
  return `${namespace}/${name}`;
}
