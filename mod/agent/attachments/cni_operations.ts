import type { Attachment } from "../../claim/attachment.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { Limiter } from "../../async/limiter.ts";
import { describePod } from "../describe.ts";
import type { AttachResult, CniResult, Finding, RuntimeConfig, Sandbox } from "../model.ts";
import type { Cni, HeldNamespace, Log, Namespaces } from "../ports.ts";
import type { NetworkLocks } from "./network_locks.ts";

/** What the CNI operations of one sandbox need. */
export interface CniOperationsPorts {
  readonly cni: Cni;
  readonly namespaces: Namespaces;
  readonly log: Log;
  /** Bounds the CNI operations of the whole node. */
  readonly limiter: Limiter;
  /** Keeps ADD and DEL of a network from its GC. */
  readonly networks: NetworkLocks;
}

/**
 * CNI operations in one sandbox: with its namespace, in their turn among those of the node. ADD and
 * DEL run to their end, which the plugins' time-out bounds: a half-done one is worse than a late one.
 */
export class CniOperations {
  readonly #sandbox: Sandbox;
  readonly #ports: CniOperationsPorts;
  /** The namespace of a sandbox that has stopped, for as long as a DEL may need it. */
  #held: HeldNamespace | undefined;

  constructor(sandbox: Sandbox, ports: CniOperationsPorts) {
    this.#sandbox = sandbox;
    this.#ports = ports;
  }

  /** Keeps the namespace. Where that cannot be, its path serves for as long as it leads there. */
  holdNamespace(): void {
    const { netns, pod } = this.#sandbox;
    if (!netns) return;
    try {
      this.#held = this.#ports.namespaces.hold(netns);
    } catch (error) {
      const about = { netns, error: errorMessage(error) };
      this.#ports.log.warn(`cannot hold the network namespace of ${describePod(pod)}`, about);
    }
  }

  releaseNamespace(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  /** Whether {@link interfaces} and {@link add} have a namespace to work in. */
  canAdd(): boolean {
    try {
      return this.#obstacle() === undefined;
    } catch {
      // Whoever tries it says why.
      return false;
    }
  }

  /**
   * The names of the interfaces in the pod; undefined on a node that cannot tell.
   *
   * Rejects when the sandbox has no namespace of its own, or it cannot be looked into.
   */
  async interfaces(signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    return await this.#ports.namespaces.interfaces(this.#podNamespace(), signal);
  }

  /** @param turn where it stands in the line of the node's operations */
  add(attachment: Attachment, turn: () => number): Promise<AttachResult> {
    const runtime = this.addRuntime(attachment);
    return this.#inTurn(attachment, turn, () => {
      return this.#ports.cni.add(attachment.network, runtime, NEVER);
    });
  }

  del(
    attachment: Attachment,
    { namespace, prevResult, turn }: {
      readonly namespace: "pod" | "none";
      readonly prevResult?: CniResult;
      readonly turn: () => number;
    },
  ): Promise<void> {
    const runtime = this.#runtime(attachment, namespace === "pod" ? this.#livingNamespace() : "");
    return this.#inTurn(attachment, turn, () => {
      return this.#ports.cni.del(attachment.network, runtime, prevResult, NEVER);
    });
  }

  /** CHECK, beside all other operations; undefined when the signal is aborted first. */
  check(
    attachment: Attachment,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    const { limiter, cni } = this.#ports;
    return limiter.runAside(() => {
      const netns = this.#livingNamespace();
      if (netns === "") {
        return Promise.resolve<Finding>({
          state: "unknown",
          cause: `the network namespace ${this.#sandbox.netns} is gone`,
        });
      }
      return cni.check(attachment.network, this.#runtime(attachment, netns), prevResult, signal);
    }, signal).catch(() => undefined);
  }

  /** The arguments of ADD. @throws Error when the sandbox has no namespace of its own */
  addRuntime(attachment: Attachment): RuntimeConfig {
    return this.#runtime(attachment, this.#podNamespace());
  }

  #inTurn<T>(
    { network }: Attachment,
    turn: () => number,
    operation: () => Promise<T>,
  ): Promise<T> {
    const { limiter, networks } = this.#ports;
    return networks.use(network.name, () => limiter.run(operation, { turn }));
  }

  #podNamespace(): string {
    const obstacle = this.#obstacle();
    if (obstacle !== undefined) throw new Error(obstacle);
    return this.#sandbox.netns!;
  }

  /** Why there can be no ADD. */
  #obstacle(): string | undefined {
    const { netns, pod } = this.#sandbox;
    const kind = netns ? this.#ports.namespaces.classify(netns) : "host";
    switch (kind) {
      case "pod":
        return undefined;
      case "gone":
        return `the network namespace ${netns} is gone`;
      case "host":
        return `${describePod(pod)} uses the host's network, which the plugins would change: ` +
          "use hostNetwork: false, or a pod without the claim";
    }
  }

  /** The namespace for DEL: held since the stop, or by its path while that still leads to it, or none. */
  #livingNamespace(): string {
    if (this.#held) return this.#held.path;
    const path = this.#sandbox.netns;
    return path && this.#ports.namespaces.classify(path) === "pod" ? path : "";
  }

  #runtime({ ifName, capabilityArgs }: Attachment, netns: string): RuntimeConfig {
    const { id, pod } = this.#sandbox;
    return {
      containerID: id,
      netns,
      ifName,
      // The names that Kubernetes runtimes pass (CNI CONVENTIONS); IgnoreUnknown for plugins that know none.
      args: [
        ["IgnoreUnknown", "true"],
        ["K8S_POD_NAMESPACE", pod.namespace],
        ["K8S_POD_NAME", pod.name],
        ["K8S_POD_INFRA_CONTAINER_ID", id],
        ["K8S_POD_UID", pod.uid],
      ] as const,
      capabilityArgs,
    };
  }
}

/**
 * Whether a plugin's message says that an interface of this name is in the pod already: the words of
 * the reference plugins and of the kernel's rename.
 */
export function saysNameExists(message: string, ifName: string): boolean {
  if (!/exist/i.test(message) || /\broute\b/i.test(message)) return false;
  const name = ifName.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(
    `\\b(rename|name provided|link|interface|device)\\b.*["'( ]${name}["'):, ]`,
    "is",
  )
    .test(message);
}

const NEVER = new AbortController().signal;
