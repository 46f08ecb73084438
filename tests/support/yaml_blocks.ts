/** What YAML blocks of the documentation are: each runs, or begins with "# part of …". */
import { parse, parseAllDocuments } from "yaml";
import { configSchema } from "../../mod/cmd/config_schema.ts";

export type YamlUse =
  /** Kubernetes objects: whole files that can be applied. */
  | "objects"
  /** The parameters of a claim. */
  | "parameters"
  /** The agent's configuration file. */
  | "configuration"
  /** Values of the chart. */
  | "values"
  /** The file of `try --node`. */
  | "node"
  /** What a command printed of a claim's status. */
  | "status"
  /** Marked as a part of something. */
  | "part"
  | "unknown";

/** Whether a block is marked as one that does not stand alone. */
export function isPart(text: string): boolean {
  return /^# part of /i.test(text);
}

/** Whether every document in it is a Kubernetes object. */
export function holdsObjects(text: string): boolean {
  const all = parseAllDocuments(text).map((document) => "toJS" in document ? document.toJS() : {});
  return all.length > 0 &&
    all.every((each) =>
      typeof each === "object" && each !== null && "apiVersion" in each && "kind" in each
    );
}

/** @param values the names of the chart's values */
export function useOf(text: string, values: readonly string[]): YamlUse {
  if (isPart(text)) return "part";
  if (holdsObjects(text)) {
    // A Network among objects has a spec.
    const isParameters = /^kind: Network$/m.test(text) && !/^spec:/m.test(text);
    return isParameters ? "parameters" : "objects";
  }
  const content = parse(text) as Record<string, unknown> | null;
  if (content === null) return text.includes("yaml-language-server") ? "configuration" : "unknown";
  const keys = Object.keys(content);
  const among = (known: readonly string[]) => keys.every((key) => known.includes(key));
  if (among(["devices"])) return "status";
  if (among(["nodes"])) return "node";
  if (among(Object.keys(configSchema().properties as object))) return "configuration";
  return among(values) ? "values" : "unknown";
}
