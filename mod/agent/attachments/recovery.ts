import { claimRef } from "../../claim/plan.ts";
import { writtenStatus } from "../../claim/written_status.ts";
import type { Limiter } from "../../async/limiter.ts";
import type {
  Attached,
  AttachmentRecord,
  CniResult,
  InterfaceIdentity,
  Interfaces,
  ResourceClaim,
  RuntimeConfig,
} from "../model.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cluster, Cni } from "../ports.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/** What CHECK does not find is looked for again after this. */
const SECOND_LOOK_MS = 1_000;

/** What recall() asks, and for which sandbox. */
export interface RecoveryOptions {
  readonly cluster: Cluster;
  readonly cni: Cni;
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly driver: string;
  readonly runtime: RuntimeConfig;
  /** The interfaces in the pod; undefined on a node that cannot tell. */
  readonly interfaces: () => Promise<Interfaces | undefined>;
  /** Ends the wait; a CHECK that runs goes on. */
  readonly signal: AbortSignal;
}

/**
 * What became of an ADD of which no result is on disk, because the disk took none or the agent died
 * first. Containers that name no claim, which nothing holds back without the agent, may live by it,
 * so it is not simply made anew. CHECK, which could tell, asks for the result; the claim's status
 * has it, where the agent lived long enough to write that.
 *
 * Undefined when the claim says nothing of it, or the interface is gone: then it is made anew. A CHECK
 * that fails although the interface is there proves nothing (design decision 15): no earlier one is on
 * record that did not. Where the ADD is a repair, it proves that the claim tells of what was lost.
 *
 * @throws Error when it cannot be told now: the API server or a plugin does not answer
 */
export async function recoverAttachment(
  { claim, attachment, repair }: AttachmentRecord,
  { cluster, cni, clock, limiter, driver, runtime, interfaces, signal }: RecoveryOptions,
): Promise<Attached | undefined> {
  const unclear = (cause: string) =>
    new Error(`cannot tell yet what an earlier run of the agent left: ${cause}`);
  let current: ResourceClaim | undefined;
  try {
    current = await cluster.getClaim(claim, signal);
  } catch (error) {
    throw unclear(`${describeClaim(claim)}: ${errorMessage(error)}`);
  }
  if (!current || claimRef(current).uid !== claim.uid) return undefined;
  const written = writtenStatus(current, { driver, device: attachment });
  if (!written || !isOf(written.result, runtime)) return undefined;
  const { result } = written;
  const { ifName } = attachment;
  const present = (await interfaces())?.get(ifName);
  if (present && tellsOfAnother(result, { ...present, ifName })) return undefined;
  const check = () =>
    limiter.run(() => cni.check(attachment.network, runtime, result, signal), { signal });
  let finding = await check();
  if (finding.state === "lost") {
    // One failure of a plugin proves nothing, and what is made anew is taken from containers first.
    await clock.sleep(SECOND_LOOK_MS, signal);
    finding = await check();
  }
  signal.throwIfAborted();
  if (finding.state === "unknown") throw unclear(finding.cause);
  if (finding.state === "lost") {
    if (repair || !written.readySince || !present) return undefined;
  }
  return {
    result,
    networkData: written.networkData,
    at: written.readySince ?? clock.now().toISOString(),
    ...(present && { index: present.index }),
  };
}

/** Whether a result is that of this sandbox: a claim may be shared, and a pod have had another one before. */
function isOf({ interfaces }: CniResult, { ifName, netns }: RuntimeConfig): boolean {
  if (!Array.isArray(interfaces)) return false;
  return interfaces.some((each) => each?.name === ifName && each?.sandbox === netns);
}

/** Whether a result says another hardware address of the interface than it has: an ADD before made it. */
function tellsOfAnother(
  { interfaces }: CniResult,
  { ifName, mac }: InterfaceIdentity & { readonly ifName: string },
): boolean {
  if (mac === undefined || !Array.isArray(interfaces)) return false;
  const told = interfaces.find((each) => each?.name === ifName && each?.sandbox)?.mac;
  return typeof told === "string" && told !== "" && told.toLowerCase() !== mac;
}
