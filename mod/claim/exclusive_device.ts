import type { Attachment } from "./attachment.ts";

/** The interface that an attachment takes away from the node: host-device moves it into the pod. */
export function exclusiveDevice({ network }: Pick<Attachment, "network">): string | undefined {
  const plugin = network.plugins.find(({ type }) => type === "host-device");
  return typeof plugin?.device === "string" ? plugin.device : undefined;
}
