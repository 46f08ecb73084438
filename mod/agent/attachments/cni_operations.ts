import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { Limiter } from "../../async/limiter.ts";
import { describePod } from "../describe.ts";
import type {
  Attached,
  CniResult,
  Finding,
  InterfaceIdentity,
  Interfaces,
  RuntimeConfig,
  Sandbox,
} from "../model.ts";
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

/** An attachment, and whose it is. */
export interface ClaimedAttachment {
  readonly claim: ClaimRef;
  readonly attachment: Attachment;
}

/** The operation of a sandbox that waits for its turn, or runs: there is one at a time. */
export interface CurrentOperation {
  readonly attachment: Attachment;
  readonly command: "ADD" | "DEL";
  /** Whether its turn has come: the plugins run. */
  readonly begun: boolean;
}

/**
 * How an operation waits for its turn. Those before it in the line end within the plugins' time-out,
 * or give their places away while they wait for something; a GC of the network is cut off.
 */
interface TurnInLine {
  /** Where it stands in the line of the node's operations. */
  readonly turn: () => number;
  /** It leaves the line when this is aborted. */
  readonly signal: AbortSignal;
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
  #current: CurrentOperation | undefined;

  constructor(sandbox: Sandbox, ports: CniOperationsPorts) {
    this.#sandbox = sandbox;
    this.#ports = ports;
  }

  /** Undefined while no ADD or DEL is asked for. */
  get current(): CurrentOperation | undefined {
    return this.#current;
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
   * The interfaces in the pod; undefined on a node that cannot tell.
   *
   * Rejects when the sandbox has no namespace of its own, or it cannot be looked into.
   */
  async interfaces(signal: AbortSignal): Promise<Interfaces | undefined> {
    return await this.#ports.namespaces.interfaces(this.#podNamespace(), signal);
  }

  /** @param options.begins as of {@link Cni.add} */
  add(
    claimed: ClaimedAttachment,
    { begins, ...wait }: TurnInLine & { readonly begins: () => Promise<void> },
  ): Promise<Omit<Attached, "at">> {
    const runtime = this.addRuntime(claimed);
    const { attachment } = claimed;
    return this.#inTurn({ attachment, command: "ADD" }, wait, async () => {
      const options = { begins, signal: TO_THE_END };
      const result = await this.#ports.cni.add(attachment.network, runtime, options);
      const made = await this.#interfaceIn(runtime.netns, attachment).catch(() => undefined);
      return { ...result, ...(made && { index: made.index }) };
    });
  }

  /** @param options.attached what is to be undone, where that is known */
  del(
    claimed: ClaimedAttachment,
    { namespace, attached, ...wait }: TurnInLine & {
      readonly namespace: "pod" | "none";
      readonly attached?: Attached;
    },
  ): Promise<void> {
    const { attachment } = claimed;
    return this.#inTurn({ attachment, command: "DEL" }, wait, async () => {
      const netns = namespace === "pod" ? await this.#namespaceOf(attachment, attached) : "";
      const runtime = this.#runtime(claimed, netns);
      await this.#ports.cni.del(attachment.network, runtime, attached?.result, TO_THE_END);
    });
  }

  /** The namespace for DEL; none where another interface has the name, which plugins would take. */
  async #namespaceOf(attachment: Attachment, attached: Attached | undefined): Promise<string> {
    const netns = this.#livingNamespace();
    if (netns === "" || attached?.index === undefined) return netns;
    const present = await this.#interfaceIn(netns, attachment);
    return isAnother(present, attached) ? "" : netns;
  }

  async #interfaceIn(
    netns: string,
    { ifName }: Attachment,
  ): Promise<InterfaceIdentity | undefined> {
    return (await this.#ports.namespaces.interfaces(netns, TO_THE_END))?.get(ifName);
  }

  /** CHECK, beside all other operations; undefined when the signal is aborted first. */
  check(
    claimed: ClaimedAttachment,
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
      const runtime = this.#runtime(claimed, netns);
      return cni.check(claimed.attachment.network, runtime, prevResult, signal);
    }, signal).catch(() => undefined);
  }

  /** The arguments of ADD. @throws Error when the sandbox has no namespace of its own */
  addRuntime(claimed: ClaimedAttachment): RuntimeConfig {
    return this.#runtime(claimed, this.#podNamespace());
  }

  async #inTurn<T>(
    what: Pick<CurrentOperation, "attachment" | "command">,
    wait: TurnInLine,
    operation: () => Promise<T>,
  ): Promise<T> {
    const { limiter, networks } = this.#ports;
    const begin = () => {
      this.#current = { ...what, begun: true };
      return operation();
    };
    this.#current = { ...what, begun: false };
    try {
      return await networks.use(what.attachment.network.name, () => limiter.run(begin, wait));
    } finally {
      this.#current = undefined;
    }
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

  #runtime({ claim, attachment }: ClaimedAttachment, netns: string): RuntimeConfig {
    const { ifName, capabilityArgs } = attachment;
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
      claim,
      pod,
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

/** Whether an interface is not the one that ADD made, although it has its name. */
export function isAnother(
  present: InterfaceIdentity | undefined,
  { index }: Pick<Attached, "index">,
): boolean {
  return present !== undefined && index !== undefined && present.index !== index;
}

/** A half-done operation is worse than a late one. */
const TO_THE_END = new AbortController().signal;
