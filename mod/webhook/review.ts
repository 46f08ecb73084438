import { FieldError, type Fields, object, optional, show, text } from "../claim/field.ts";
import type { Verdict } from "./verdict.ts";

const API = "admission.k8s.io/v1";

/** What the API server asks (admission.k8s.io/v1 AdmissionRequest), as far as it matters. */
export interface AdmissionRequest {
  readonly uid: string;
  /** GROUP/VERSION of the object. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly operation: string;
  readonly subResource?: string;
  readonly object: Fields;
  /** Of an update. */
  readonly oldObject?: Fields;
}

/** The most characters of all warnings that API servers pass on are 4096; of one, 256. */
const LONGEST_WARNING = 256;
const MOST_WARNINGS = 8;

/** Reads an AdmissionReview. @throws FieldError for what is none, to which no answer can be given */
export function parseReview(value: unknown): AdmissionRequest {
  const { apiVersion, kind, request } = object(value, "the body");
  if (apiVersion !== API || kind !== "AdmissionReview") {
    const given = `${show(apiVersion)} ${show(kind)}`;
    throw new FieldError("the body", `must be an AdmissionReview of ${API}, not ${given}`);
  }
  const fields = object(request, "request");
  const { group = "", version, kind: own } = object(fields.kind, "request.kind");
  const namespace = optional(textOrEmpty, fields.namespace, "request.namespace");
  const subResource = optional(textOrEmpty, fields.subResource, "request.subResource");
  const oldObject = optional(object, fields.oldObject, "request.oldObject");
  return {
    uid: text(fields.uid, "request.uid"),
    apiVersion: group === "" ? `${version}` : `${group}/${version}`,
    kind: text(own, "request.kind.kind"),
    ...(namespace && { namespace }),
    operation: text(fields.operation, "request.operation"),
    ...(subResource && { subResource }),
    object: optional(object, fields.object, "request.object") ?? {},
    ...(oldObject && { oldObject }),
  };
}

function textOrEmpty(value: unknown, path: string): string {
  return value === "" ? "" : text(value, path);
}

/** The AdmissionReview that answers a request. */
export function answerOf({ uid }: Pick<AdmissionRequest, "uid">, verdict: Verdict): Fields {
  return { apiVersion: API, kind: "AdmissionReview", response: { uid, ...responseOf(verdict) } };
}

function responseOf(verdict: Verdict): Fields {
  if (verdict.is === "denied") {
    const { message, reason } = verdict;
    const code = reason === "Forbidden" ? 403 : 422;
    return { allowed: false, status: { status: "Failure", message, reason, code } };
  }
  const warnings = verdict.warnings.slice(0, MOST_WARNINGS).map(short);
  return { allowed: true, ...(warnings.length > 0 && { warnings }) };
}

function short(warning: string): string {
  return warning.length > LONGEST_WARNING ? `${warning.slice(0, LONGEST_WARNING - 1)}…` : warning;
}
