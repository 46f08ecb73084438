/** Status documents, for tests. */
import type { AttachmentSnapshot, ClaimSnapshot } from "../../mod/agent/snapshot/snapshot.ts";
import type { StatusDocument } from "../../mod/status/document.ts";

/** An attachment of a pod, whose claim has the pod's name. */
export function anAttachmentSnapshot(
  pod: string,
  more: Partial<AttachmentSnapshot> = {},
): AttachmentSnapshot {
  const [namespace = "", name = ""] = pod.split("/");
  return {
    pod: { namespace, name, uid: `uid-${namespace}-${name}` },
    sandbox: `sandbox-${namespace}-${name}`,
    claim: { namespace, name: `claim-${name}`, uid: `uid-claim-${namespace}-${name}` },
    request: "lan",
    device: "eth0-1",
    network: "lan",
    plugins: ["macvlan"],
    interface: "net1",
    mac: "00:00:00:00:00:01",
    addresses: ["10.0.0.2/24", "fd00::2/64"],
    state: "attached",
    since: "2026-01-01T00:00:00.000Z",
    ...more,
  };
}

/** A document in which nothing is wrong but what the attachments say. */
export function aStatusDocument(
  attachments: readonly AttachmentSnapshot[],
  more: Partial<StatusDocument> = {},
): StatusDocument {
  return {
    version: 1,
    source: "agent",
    at: "2026-01-01T01:00:00.000Z",
    stateDir: "/var/lib/network-dra",
    agents: [{
      version: "0.1.0",
      node: "node-1",
      driver: "dra.networking",
      startedAt: "2026-01-01T00:00:00.000Z",
      role: "leads",
      needs: [
        { name: "NRI", ok: true, says: "synchronized" },
        { name: "kubelet", ok: true, says: "registered" },
      ],
    }],
    settings: [
      { name: "driverName", value: "dra.networking", from: "default" },
      { name: "cniTimeout", value: "10s", from: "flag", at: "--cni-timeout" },
    ],
    devices: [
      { name: "cni", state: "up", claims: 0, attachments: 0 },
      { name: "eth0", interface: "eth0", state: "up", claims: 1, attachments: attachments.length },
    ],
    sandboxes: attachments.map(({ sandbox, pod }) => ({
      id: sandbox,
      pod,
      state: "running",
      attachments: 1,
    })),
    claims: attachments.map(({ claim, pod, state }): ClaimSnapshot => ({
      ...claim,
      state,
      pods: [pod.name],
      devices: ["eth0-1"],
      attachments: 1,
    })),
    attachments,
    ...more,
  };
}
