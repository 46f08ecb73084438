import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { PodAttachments } from "../attachments/pod_attachments.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { describePod } from "../describe.ts";
import type { Log, Namespaces } from "../ports.ts";

const INTERVAL_MS = 5_000;

/** What the watch of namespaces needs outside mod/agent. */
export interface NamespaceWatchPorts {
  readonly namespaces: Pick<Namespaces, "classify">;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Finds sandboxes that have ended although the runtime said nothing: their namespaces are gone. After
 * a restart containerd does not tell of the end of sandboxes that were there before
 * (containerd#8426).
 */
export class NamespaceWatch {
  readonly #ports: NamespaceWatchPorts;
  readonly #sandboxes: Sandboxes;
  readonly #detach: (sandboxId: string) => void;

  /** @param detach as if the runtime had said that the sandbox stopped */
  constructor(
    ports: NamespaceWatchPorts,
    { sandboxes, detach }: {
      readonly sandboxes: Sandboxes;
      readonly detach: (sandboxId: string) => void;
    },
  ) {
    this.#ports = ports;
    this.#sandboxes = sandboxes;
    this.#detach = detach;
  }

  /** Every five seconds, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#ports.clock.sleep(INTERVAL_MS, signal).catch(() => {});
      if (signal.aborted) return;
      this.detachGone(this.#sandboxes.all());
    }
  }

  /** Detaches those among them whose namespace is gone. Of the others it cannot always be told. */
  detachGone(networks: readonly PodAttachments[]): void {
    for (const { sandbox } of networks) {
      try {
        this.detachIfGone(sandbox.id);
      } catch (error) {
        const about = { sandbox: sandbox.id, error: errorMessage(error) };
        this.#ports.log.debug(`cannot tell whether ${describePod(sandbox.pod)} is gone`, about);
      }
    }
  }

  /** @throws Error when it cannot be told */
  detachIfGone(id: string): void {
    const network = this.#sandboxes.get(id);
    const { netns } = network?.sandbox ?? {};
    if (!netns || network?.stopped || this.#ports.namespaces.classify(netns) !== "gone") return;
    this.#ports.log.info(`sandbox ${id} is gone, but the container runtime did not report its end`);
    this.#detach(id);
  }
}
