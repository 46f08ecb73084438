import { Document } from "yaml";
import type { Manifest } from "../manifests/manifest.ts";
import type { Commented, Migration } from "./migration.ts";
import { namePart, Names } from "./names.ts";

/** As wide as the comments are. */
const WIDTH = 98;

const ABOUT_CLASSES = [
  "One DeviceClass a network, and one for each other way in which pods use it. Every namespace can use " +
  "a DeviceClass: a ResourceQuota of 0 for NAME.deviceclass.resource.k8s.io/devices keeps a " +
  "namespace from it.",
];

const ABOUT_NETWORKS = [
  "One Network for each range of addresses that whereabouts gave, for the whole cluster. The agent reads " +
  "Networks with networks.objects (values of the chart).",
];

/** All as one YAML stream: networks, classes, templates, and the workloads as they are from now on. */
export function stream({ networks, classes, templates, workloads }: Migration): string {
  return documents([...networks, ...classes, ...templates, ...workloads]);
}

/**
 * All as the files of a kustomization, by their paths. The workloads stand there as they were, and
 * patches change them.
 */
export function kustomization(
  { networks, classes, templates, workloads }: Migration,
): Map<string, string> {
  const files = new Map<string, string>();
  const add = (path: string, objects: readonly Commented[], about: readonly string[] = []) => {
    if (objects.length > 0) files.set(path, comment(about) + documents(objects));
  };
  add("networks.yaml", networks, ABOUT_NETWORKS);
  add("device-classes.yaml", classes, ABOUT_CLASSES);
  add("claim-templates.yaml", templates);
  add("workloads.yaml", workloads.map(({ before }) => ({ object: before, comments: [] })), [
    "The workloads as they were. If you keep them elsewhere, remove this file and name yours in " +
    "kustomization.yaml.",
  ]);
  const resources = [...files.keys()];
  const names = new Names();
  const patches = workloads.map(({ patch, comments }) => {
    const { kind, metadata: { name, namespace } } = patch;
    const words = [kind, ...namespace === undefined ? [] : [namespace], name].map(namePart);
    const path = `patches/${names.take(words.join("-"), 200)}.yaml`;
    add(path, [{ object: patch, comments }]);
    return { path };
  });
  if (resources.length === 0) return files;
  add("kustomization.yaml", [{
    object: {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      resources,
      ...(patches.length > 0 && { patches }),
    } as unknown as Manifest,
    comments: [],
  }]);
  return files;
}

function documents(objects: readonly Commented[]): string {
  return objects.map(({ object, comments }) => comment(comments) + yaml(object)).join("---\n");
}

/** As Kubernetes reads it: YAML 1.1, in which `no` must stand in quotes. */
function yaml(object: Manifest): string {
  return new Document(object, { version: "1.1", aliasDuplicateObjects: false })
    .toString({ lineWidth: 100 }).replace(/^%YAML 1\.1\n---\n/, "");
}

function comment(sentences: readonly string[]): string {
  return sentences.flatMap((sentence) => wrapped(sentence)).map((line) => `# ${line}\n`).join("");
}

/** Lines of a sentence; names of objects and files have no line breaks. */
function wrapped(sentence: string): string[] {
  const lines: string[] = [];
  // What comes from the input may hold anything.
  // deno-lint-ignore no-control-regex
  for (const word of sentence.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, " ").split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= WIDTH) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
