import type { Clock } from "../../async/clock.ts";
import { claimsOf } from "../attachments/attachment_view.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import type { GateOutcome, Sandbox } from "../model.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { Metrics, Traces } from "../ports.ts";
import type { ContainerAdmission } from "./container_admission.ts";

/** What the gate needs from outside mod/agent. */
export interface GatePorts {
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "gateWaited">;
  readonly traces: Pick<Traces, "ended">;
}

/** What the gate asks about a sandbox and its claims. */
export interface GateSources {
  readonly sandboxes: Sandboxes;
  readonly admission: ContainerAdmission;
  /** Starts to attach the networks of the sandbox's pod that are not attached yet. */
  readonly attach: (sandbox: Sandbox) => void;
  /** Resolves when it is known which claims the pod uses. */
  readonly claimsKnown: (sandbox: Sandbox, signal: AbortSignal) => Promise<void>;
  /** @throws Error when the claim of a CDI device is not prepared for the pod */
  readonly assertPrepared: (sandbox: Sandbox, cdiDevice: string) => void;
}

/** A container that is to be created. */
export interface NewContainer {
  /** Its CDI devices, which name the claims that it uses. Not every runtime reports them. */
  readonly cdiDevices: readonly string[];
  readonly signal: AbortSignal;
}

/** CreateContainer: where containers wait for their pod's networks. */
export class Gate {
  readonly #ports: GatePorts;
  readonly #sources: GateSources;

  constructor(ports: GatePorts, sources: GateSources) {
    this.#ports = ports;
    this.#sources = sources;
  }

  /**
   * Resolves when the pod's networks are attached; rejects with the cause if they cannot be
   * attached, or are not when the signal is aborted.
   */
  async pass(sandbox: Sandbox, container: NewContainer): Promise<void> {
    const { clock, metrics, traces } = this.#ports;
    const began = clock.elapsed();
    const waited = () => (clock.elapsed() - began) / 1000;
    const trace = (outcome: GateOutcome, error?: string) => {
      const { id, pod } = sandbox;
      const about = { sandbox: id, outcome };
      traces.ended({ name: "gate", pod, seconds: waited(), about, error });
    };
    try {
      await this.#await(sandbox, container);
    } catch (error) {
      const outcome = container.signal.aborted ? "timeout" : "refused";
      metrics.gateWaited(outcome, waited());
      trace(outcome, errorMessage(error));
      throw error;
    }
    // Containers of other pods pass at once, and would hide those that wait.
    if (!this.#sources.sandboxes.get(sandbox.id)) return;
    metrics.gateWaited("opened", waited());
    trace("opened");
  }

  async #await(sandbox: Sandbox, { cdiDevices, signal }: NewContainer): Promise<void> {
    const { sandboxes, admission, attach, claimsKnown, assertPrepared } = this.#sources;
    // Also where the sandbox is known: of some of its claims that may have failed before.
    attach(sandbox);
    // One that is being detached gets nothing; it may be gone by the time the claims are known.
    const before = sandboxes.get(sandbox.id);
    await claimsKnown(sandbox, signal);
    for (const id of cdiDevices) assertPrepared(sandbox, id);
    const network = sandboxes.get(sandbox.id) ?? before;
    if (!network) return;
    await network.ready(signal);
    // Not based on the claims that the container names, because not every runtime reports them
    // here.
    const wanted = network.entries.filter(({ wanted }) => wanted);
    for (const claim of claimsOf(wanted)) await admission.passes(claim, signal);
  }
}
