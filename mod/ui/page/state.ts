import type { MapPicture, MapPod } from "../map_picture.ts";

/** What is selected. */
export interface Selection {
  readonly kind: "pod" | "node" | "device" | "network";
  readonly key: string;
}

/** What the parts of the page show. */
export interface PageState {
  readonly picture: MapPicture;
  readonly query: string;
  /** The pods that match the query. */
  readonly found: readonly MapPod[];
  readonly selection: Selection | undefined;
}

/** The pods that a selection is about. */
export function podsOfSelection(
  { pods }: MapPicture,
  { kind, key }: Selection,
): readonly MapPod[] {
  switch (kind) {
    case "pod":
      return pods.filter((pod) => pod.key === key);
    case "node":
      return pods.filter((pod) => (pod.node ?? "") === key);
    case "device":
      return pods.filter((pod) => pod.attachments.some(({ device }) => device === key));
    case "network":
      return pods.filter((pod) => pod.attachments.some(({ network }) => network === key));
  }
}
