import type { MapPicture, MapPod } from "./map_picture.ts";

/** Names that pods are found by, besides their own. */
type Names = ReadonlyMap<string, string>;

/**
 * The pods that match all words of a query: each word is a part of the namespace and name, the node, a
 * network, an interface, a device, an address, a claim or the state. No words match all.
 */
export function searchPods(
  { pods, networks, devices }: MapPicture,
  query: string,
): readonly MapPod[] {
  const words = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return pods;
  const names: Names = new Map([...networks, ...devices].map(({ key, name }) => [key, name]));
  return pods.filter((pod) => {
    const text = textOf(pod, names);
    return words.every((word) => text.includes(word));
  });
}

function textOf({ namespace, name, node, state, attachments }: MapPod, names: Names): string {
  const parts = [`${namespace}/${name}`, node ?? "", stateText(state)];
  for (const each of attachments) {
    parts.push(
      each.claim ?? "",
      each.interfaceName ?? "",
      names.get(each.network ?? "") ?? "",
      names.get(each.device ?? "") ?? "",
      stateText(each.state),
      ...each.addresses,
    );
  }
  return parts.join("\n").toLowerCase();
}

/** As people read it. */
export function stateText(state: string): string {
  return state.replace("-", " ");
}
