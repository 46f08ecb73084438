import type { Labels } from "../networks/namespace_selector.ts";
import { type Fields, type Manifest, objectsIn } from "./manifest.ts";

/** The kinds that hold networks, and no pods. */
export const NETWORK_KINDS = ["Network", "NetworkAttachmentDefinition"];

/** Parameters that name a NetworkAttachmentDefinition. */
export interface NamedDefinition {
  /** NAMESPACE/NAME; of a class, where any namespace may be meant, `*` stands for it. */
  readonly name: string;
  /** Where the name stands. */
  readonly path: string;
}

/** The NetworkAttachmentDefinitions that the parameters of a claim, a template or a class name. */
export function namedDefinitions({ kind, metadata, spec }: Manifest): NamedDefinition[] {
  const place = {
    DeviceClass: ["spec", spec],
    ResourceClaim: ["spec.devices", (spec as Fields | undefined)?.devices],
    ResourceClaimTemplate: [
      "spec.spec.devices",
      ((spec as Fields | undefined)?.spec as Fields | undefined)?.devices,
    ],
  }[kind] as [string, Fields | undefined] | undefined;
  if (!place) return [];
  const [at, fields] = place;
  const own = kind === "DeviceClass" ? "*" : metadata.namespace ?? "default";
  return objectsIn(fields?.config).flatMap((entry, i) => {
    const { parameters } = (entry.opaque ?? {}) as { readonly parameters?: Fields };
    const name = parameters?.networkAttachmentDefinition;
    if (typeof name !== "string") return [];
    const path = `${at}.config[${i}].opaque.parameters.networkAttachmentDefinition`;
    return [{ name: name.includes("/") ? name : `${own}/${name}`, path }];
  });
}

/** Whether one of the names is a definition's. */
export function isNamed({ metadata }: Manifest, names: readonly NamedDefinition[]): boolean {
  const { namespace = "default", name: own } = metadata;
  return names.some(({ name }) => name === `${namespace}/${own}` || name === `*/${own}`);
}

/** The labels of the namespaces in files, by name. */
export function namespaceLabels(namespaces: readonly Manifest[]): Map<string, Labels> {
  return new Map(namespaces.map(({ metadata }) => [
    metadata.name,
    ((metadata as { readonly labels?: Labels }).labels) ?? {},
  ]));
}
