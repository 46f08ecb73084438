import type { AttachmentSnapshot, ClaimSnapshot } from "../agent/snapshot/snapshot.ts";
import { originalDevice } from "../claim/device_names.ts";
import type { StatusDocument } from "./document.ts";

/** Something that is wrong. */
export interface Problem {
  /** Such as `pod default/web` or `agent`. */
  readonly about: string;
  /** What is wrong, in the words of whoever found it. */
  readonly message: string;
  /** RFC 3339. */
  readonly since?: string;
  readonly tries?: number;
  readonly waitsFor?: string;
  readonly nextTry?: string;
}

/** What is wrong by a status document: of pods first, then of claims, devices and agents. Pure. */
export function problemsOf(
  document: Pick<StatusDocument, "agents" | "attachments" | "claims" | "devices" | "leases">,
): Problem[] {
  const { agents, attachments, claims, devices, leases = [] } = document;
  return [
    ...attachments.flatMap((each) => attachmentProblem(each) ?? []),
    ...claims.flatMap((claim) => claimProblem(claim) ?? []),
    ...devices
      .filter(({ state, claims }) => claims > 0 && (state === "down" || state === "gone"))
      .map(({ name, state, claims, interface: link = name }) => ({
        about: `device ${name}`,
        message: state === "gone"
          ? `the interface ${link} is not on the node any more, and ${counted(claims, "claim")} ` +
            `${claims === 1 ? "holds" : "hold"} it`
          : `the interface ${link} is down, and ${counted(claims, "claim")} ` +
            `${claims === 1 ? "holds" : "hold"} it`,
      })),
    ...leases.map(({ network, address, sandbox, path }) => ({
      about: `network ${network}`,
      message: `the address ${address} is held for the sandbox ${sandbox}, which the agent does ` +
        `not know: if the runtime does not know it either, delete ${path}`,
    })),
    ...agents.flatMap(({ needs }) =>
      needs.filter(({ ok }) => !ok).map(({ name, says }) => ({
        about: "agent",
        message: `${name}: ${says}`,
      }))
    ),
  ];
}

const DOES: Readonly<Record<string, string>> = {
  attach_failed: "cannot attach",
  detach_failed: "cannot detach",
  lost: "lost",
  unknown: "not known whether it is attached:",
};

function attachmentProblem(each: AttachmentSnapshot): Problem | undefined {
  const does = DOES[each.state];
  if (does === undefined) return undefined;
  const { pod, claim, network, error, since, tries, waitsFor, nextTry } = each;
  const cause = error === undefined ? "" : `: ${error}`;
  return {
    about: `pod ${pod.namespace}/${pod.name}`,
    message: `${does} network ${JSON.stringify(network)} (interface ${each.interface}, claim ` +
      `${claim.namespace}/${claim.name}, device ${originalDevice(each.device)})${cause}`,
    ...(since !== undefined && { since }),
    ...(tries !== undefined && { tries }),
    ...(waitsFor !== undefined && { waitsFor }),
    ...(nextTry !== undefined && { nextTry }),
  };
}

function claimProblem(claim: ClaimSnapshot): Problem | undefined {
  if (claim.state !== "refused") return undefined;
  const { namespace, name, error = "", since, tries, waitsFor } = claim;
  return {
    about: `claim ${namespace}/${name}`,
    message: `cannot prepare it: ${error}`,
    ...(since !== undefined && { since }),
    ...(tries !== undefined && { tries }),
    ...(waitsFor !== undefined && { waitsFor }),
  };
}

/** `1 claim`, `2 claims`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
