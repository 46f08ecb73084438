import type { Clock } from "../../async/clock.ts";
import { claimsOf } from "../attachments/attachment_view.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import type { Sandbox } from "../model.ts";
import type { Metrics } from "../ports.ts";
import type { ContainerAdmission } from "./container_admission.ts";

/** What the gate needs outside mod/agent. */
export interface GatePorts {
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "gateWaited">;
}

/** What the gate asks about a sandbox and its claims. */
export interface GateSources {
  readonly sandboxes: Sandboxes;
  readonly admission: ContainerAdmission;
  /** Begins to attach what the sandbox's pod asks for and what is not attached yet. */
  readonly attach: (sandbox: Sandbox) => void;
  /** Resolves when it is known which claims the pod uses. */
  readonly claimsKnown: (sandbox: Sandbox, signal: AbortSignal) => Promise<void>;
  /** @throws Error when the claim of a CDI device is not prepared for the pod */
  readonly assertPrepared: (sandbox: Sandbox, cdiDevice: string) => void;
}

/** A container that is to be created. */
export interface NewContainer {
  /** Its CDI devices: they name the claims that it uses. Not every runtime says them. */
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
   * Resolves when the pod's networks are there; rejects with the cause when they are not by the time
   * the signal is aborted, or cannot be.
   */
  async pass(sandbox: Sandbox, container: NewContainer): Promise<void> {
    const { clock, metrics } = this.#ports;
    const began = clock.now().getTime();
    const waited = () => (clock.now().getTime() - began) / 1000;
    try {
      await this.#await(sandbox, container);
    } catch (error) {
      metrics.gateWaited(container.signal.aborted ? "timeout" : "refused", waited());
      throw error;
    }
    // Containers of other pods pass at once, and would hide those that wait.
    if (this.#sources.sandboxes.get(sandbox.id)) metrics.gateWaited("opened", waited());
  }

  async #await(sandbox: Sandbox, { cdiDevices, signal }: NewContainer): Promise<void> {
    const { sandboxes, admission, attach, claimsKnown, assertPrepared } = this.#sources;
    // Also where the sandbox is known: of some of its claims that may have failed before.
    attach(sandbox);
    await claimsKnown(sandbox, signal);
    for (const id of cdiDevices) assertPrepared(sandbox, id);
    const network = sandboxes.get(sandbox.id);
    if (!network) return;
    await network.ready(signal);
    // Not by what the container names: not every runtime says that here.
    const wanted = network.entries.filter(({ wanted }) => wanted);
    for (const claim of claimsOf(wanted)) await admission.passes(claim, signal);
  }
}
