import { FieldError, type Fields, join, object, optional, show } from "../claim/field.ts";
import { validatePodSpec } from "./pod_validation.ts";

/**
 * Refuses what the API server would refuse in a workload's spec: invalid numbers, a selector that does not
 * match its own pods, an unsupported restart policy, and whatever is invalid in a pod.
 *
 * @throws FieldError
 */
export function validateWorkload(kind: string, spec: unknown): void {
  if (kind === "CronJob") {
    const { jobTemplate } = object(spec, "spec");
    const at = "spec.jobTemplate";
    return workload("Job", object(jobTemplate, at).spec, join(at, "spec"));
  }
  workload(kind, spec, "spec");
}

function workload(kind: string, spec: unknown, path: string): void {
  const fields = object(spec, path);
  for (const key of ["replicas", "completions", "parallelism"]) {
    const value = fields[key] ?? 0;
    if (Number.isInteger(value) && value as number >= 0) continue;
    throw new FieldError(join(path, key), `must be a whole number, 0 or more, not ${show(value)}`);
  }
  const at = join(path, "template");
  const template = object(fields.template, at);
  validatePodSpec(template.spec, join(at, "spec"));
  if (kind !== "Job") selector(fields, template, path);
  const allowed = kind === "Job" ? ["OnFailure", "Never"] : ["Always"];
  const { restartPolicy = "Always" } = template.spec as Fields;
  if (allowed.includes(restartPolicy as string)) return;
  const problem = `Unsupported value: ${show(restartPolicy)}: supported values: ${
    allowed.map(show).join(", ")
  }`;
  throw new FieldError(`${at}.spec.restartPolicy`, problem);
}

/** Checks labels by name; expressions are not checked. */
function selector(fields: Fields, template: Fields, path: string): void {
  const at = join(path, "selector");
  const { matchLabels } = object(fields.selector, at);
  const wanted = optional(object, matchLabels, join(at, "matchLabels")) ?? {};
  const place = `${path}.template.metadata.labels`;
  const metadata = optional(object, template.metadata, `${path}.template.metadata`) ?? {};
  const labels = optional(object, metadata.labels, place) ?? {};
  for (const [name, value] of Object.entries(wanted)) {
    if (labels[name] === value) continue;
    throw new FieldError(
      place,
      `Invalid value: \`selector\` does not match template \`labels\`: it wants ${name}: ${value}`,
    );
  }
}
