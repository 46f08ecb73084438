import { claimFindings } from "../../cluster/findings.ts";
import type { Checked } from "../finding.ts";
import { counted } from "../nodes_text.ts";
import type { ClusterSeen } from "../seen.ts";

/** Whether claims have their networks. */
export function checkClaims({ picture, objects }: ClusterSeen): Checked {
  const findings = claimFindings(picture).map((finding) => ({
    whatToDo: "kubectl network-dra explain says which step it hangs at",
    ...finding,
  }));
  if (objects.ResourceClaim.state !== "read") {
    return { findings, unknown: [{ what: "claims", why: "ResourceClaims cannot be read" }] };
  }
  const { length } = picture.claims;
  return { findings, unknown: [], well: `nothing is wrong with ${counted(length, "claim")}` };
}
