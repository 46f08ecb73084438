import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import type { Attached, Sandbox } from "../model.ts";
import type { AttachmentSnapshot } from "./snapshot.ts";

/** Which attachment a snapshot is of, and its interface as ADD reported it or else as it is planned. */
export function identityOf(
  { sandbox: { id, pod }, claim, attachment, attached }: {
    readonly sandbox: Sandbox;
    readonly claim: ClaimRef;
    readonly attachment: Attachment;
    readonly attached?: Attached;
  },
): Omit<AttachmentSnapshot, "state"> {
  const { request, device, ifName, network } = attachment;
  const data = attached?.networkData;
  return {
    pod,
    sandbox: id,
    claim,
    request,
    device,
    network: network.name,
    plugins: network.plugins.map(({ type }) => type),
    interface: data?.interfaceName ?? ifName,
    ...(data?.hardwareAddress !== undefined && { mac: data.hardwareAddress }),
    addresses: data?.ips ?? [],
  };
}
