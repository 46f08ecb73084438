import type { ClaimRef } from "../../claim/attachment.ts";
import type { Backoff } from "../../async/backoff.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import { retry } from "../../async/retry.ts";
import { describeClaim } from "../describe.ts";
import type { Sandbox } from "../model.ts";
import type { CdiFiles, Cluster, Journal } from "../ports.ts";

/** Between requests for a pod's claims, while the API server does not answer. */
const RETRY: Backoff = { first: 200, most: 10_000 };

/** Where the records of the leading agent are read. */
export interface RecordedAdmissionPorts {
  readonly journal: Pick<Journal, "look">;
  readonly cdi: Pick<CdiFiles, "claimUid" | "claims" | "startAllowed">;
  readonly cluster: Pick<Cluster, "getPodClaims">;
  readonly clock: Clock;
}

/** A container that waits, and until when. */
export interface WaitingContainer {
  readonly sandbox: Sandbox;
  /** The CDI devices that it names; not every runtime says them. */
  readonly cdiDevices: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * What a container waits for, by what is on disk: for an agent that does not lead, while another
 * one does, or none.
 */
export class RecordedAdmission {
  readonly #ports: RecordedAdmissionPorts;
  readonly #container: WaitingContainer;
  /** The claims that the pod uses, once that is asked for. */
  #names: ClaimNames | undefined;

  constructor(ports: RecordedAdmissionPorts, container: WaitingContainer) {
    this.#ports = ports;
    this.#container = container;
  }

  /** Undefined when all networks of the pod are there, and nothing keeps the container from starting. */
  async waitsFor(): Promise<string | undefined> {
    const { cdi, journal } = this.#ports;
    const { sandbox: { id, pod }, cdiDevices } = this.#container;
    const { claims, attachments, shareable, unreadable, recorded } = await journal.look(pod);
    const uids = new Set(claims.map(({ claim }) => claim.uid));
    const named = cdiDevices.map((device) => cdi.claimUid(device));
    const unprepared = named.find((uid) => uid !== undefined && !uids.has(uid));
    if (unprepared !== undefined) return `the claim ${unprepared} is not on record for the pod`;
    // The kubelet prepares a claim once: of a second pod nothing is on record before an agent that
    // leads has found it.
    const candidates = [...shareable.map(({ claim }) => claim), ...await this.#lost(recorded)];
    if (candidates.length > 0 || unreadable) {
      const names = this.#claimNames();
      if ("unknown" in names) return names.unknown;
      const own = new Set(claims.map(({ claim }) => claim.name));
      const open = names.known.filter((name) => !own.has(name));
      const shared = candidates.find(({ name }) => open.includes(name));
      if (shared) return `${describeClaim(shared)} is not on record for the pod`;
      if (unreadable && open.length > 0) return "a claim's record cannot be read";
    }
    const attached = attachments.filter((record) => record.sandbox.id === id && record.attached);
    const incomplete = claims.find(({ claim, attachments: wanted }) =>
      wanted.length !== attached.filter((record) => record.claim.uid === claim.uid).length
    );
    if (incomplete) return `${describeClaim(incomplete.claim)} is not attached`;
    // Of all claims: not every runtime says here which of them the container names.
    for (const { claim } of claims) {
      if (!await cdi.startAllowed(claim.uid)) {
        return `containers that use ${describeClaim(claim)} may not start yet`;
      }
    }
    return undefined;
  }

  /** Claims of the pod's namespace that are in use, according to their CDI files, and whose records are lost. */
  async #lost(recorded: ReadonlySet<string>): Promise<ClaimRef[]> {
    const { namespace } = this.#container.sandbox.pod;
    // If that cannot be read, containers that name a claim wait all the same.
    const inUse = await this.#ports.cdi.claims().catch(() => []);
    return inUse.filter((claim) => claim.namespace === namespace && !recorded.has(claim.uid));
  }

  /** They never change. Asked for once, in the background: an agent that leads needs no answer. */
  #claimNames(): ClaimNames {
    if (this.#names) return this.#names;
    const { cluster, clock } = this.#ports;
    const { sandbox: { pod }, signal } = this.#container;
    const problem = "it is not known which claims the pod uses";
    retry(() => cluster.getPodClaims(pod, signal), {
      clock,
      backoff: RETRY,
      signal,
      failed: (error) => this.#names = { unknown: `${problem}: ${errorMessage(error)}` },
    }).then(({ names }) => this.#names = { known: names }, () => {});
    return this.#names = { unknown: problem };
  }
}

/** The names of the claims that a pod uses, or why they are not known. */
type ClaimNames = { readonly known: readonly string[] } | { readonly unknown: string };
