import { errorMessage } from "../../async/error_message.ts";
import { attachmentKey } from "../attachments/attachment_view.ts";
import { describeClaim } from "../describe.ts";
import type { AttachmentRecord, ClaimRecord } from "../model.ts";
import type { Log } from "../ports.ts";
import type { ClaimStore } from "./store.ts";

/**
 * A claim whose record cannot be read is what its attachments say: the kubelet prepares it once.
 *
 * @returns the records that were rebuilt
 */
export async function rebuildClaims(
  attachments: readonly AttachmentRecord[],
  { claims, log }: { readonly claims: ClaimStore; readonly log: Log },
): Promise<ClaimRecord[]> {
  const lost = attachments.filter(({ claim }) => !claims.get(claim.uid));
  const records = [...Map.groupBy(lost, ({ claim }) => claim.uid).values()].map(recordOf);
  for (const record of records) {
    const what = describeClaim(record.claim);
    log.warn(`rebuilt the record of ${what} from its attachments`);
    await claims.put(record).catch((error) => {
      // The disk takes nothing at the moment; the attachments have it the next time too.
      log.warn(`cannot write the record of ${what}`, { error: errorMessage(error) });
      claims.restore(record);
    });
  }
  return records;
}

function recordOf(own: readonly AttachmentRecord[]): ClaimRecord {
  const [{ claim }] = own as [AttachmentRecord];
  const pods = new Map(own.map(({ sandbox: { pod: { name, uid } } }) => [uid, { name, uid }]));
  const wanted = new Map(own.map(({ attachment }) => [
    attachmentKey(claim, attachment),
    attachment,
  ]));
  return {
    claim,
    pods: [...pods.values()],
    // Whether it is cannot be told; then it is asked for.
    shareable: true,
    attachments: [...wanted.values()],
  };
}
