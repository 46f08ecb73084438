import { claimRef } from "../../claim/plan.ts";
import { writtenStatus } from "../../claim/written_status.ts";
import type { Limiter } from "../../async/limiter.ts";
import type {
  Attached,
  AttachmentRecord,
  CniResult,
  ResourceClaim,
  RuntimeConfig,
} from "../model.ts";
import type { Clock } from "../../async/clock.ts";
import type { Cluster, Cni } from "../ports.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/** What CHECK does not find is looked for again after this. */
const SECOND_LOOK = 1_000;

/** What recall() asks, and for which sandbox. */
export interface RecoveryOptions {
  readonly cluster: Cluster;
  readonly cni: Cni;
  readonly clock: Clock;
  readonly limiter: Limiter;
  readonly driver: string;
  readonly runtime: RuntimeConfig;
}

/**
 * What became of an ADD of which no result is on disk, because the disk took none or the agent died
 * first. Containers that name no claim, which nothing holds back without the agent, may live by it,
 * so it is not simply made anew. CHECK, which could tell, asks for the result; the claim's status
 * has it, where the agent lived long enough to write that.
 *
 * Undefined when the claim says nothing of it, or CHECK finds it damaged: then it is made anew.
 *
 * @throws Error when it cannot be told now: the API server or a plugin does not answer
 */
export async function recoverAttachment(
  { claim, attachment }: AttachmentRecord,
  { cluster, cni, clock, limiter, driver, runtime }: RecoveryOptions,
): Promise<Attached | undefined> {
  const unclear = (cause: string) =>
    new Error(`cannot tell yet what an earlier run of the agent left: ${cause}`);
  let current: ResourceClaim | undefined;
  try {
    current = await cluster.getClaim(claim, NEVER);
  } catch (error) {
    throw unclear(`${describeClaim(claim)}: ${errorMessage(error)}`);
  }
  if (!current || claimRef(current).uid !== claim.uid) return undefined;
  const written = writtenStatus(current, { driver, device: attachment });
  if (!written || !isOf(written.result, runtime)) return undefined;
  const { result } = written;
  const check = () => limiter.run(() => cni.check(attachment.network, runtime, result, NEVER));
  let finding = await check();
  if (finding.state === "lost") {
    // A plugin that failed once is no proof, and what is made anew is taken from containers first.
    await clock.sleep(SECOND_LOOK);
    finding = await check();
  }
  if (finding.state === "unknown") throw unclear(finding.cause);
  if (finding.state === "lost") return undefined;
  return {
    result,
    networkData: written.networkData,
    at: written.readySince ?? clock.now().toISOString(),
  };
}

/** Whether a result is that of this sandbox: a claim may be shared, and a pod have had another one before. */
function isOf({ interfaces }: CniResult, { ifName, netns }: RuntimeConfig): boolean {
  if (!Array.isArray(interfaces)) return false;
  return interfaces.some((each) => each?.name === ifName && each?.sandbox === netns);
}

/** Each of its steps has a time-out of its own. */
const NEVER = new AbortController().signal;
