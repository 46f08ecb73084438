import { CNI_DEVICE, originalDevice } from "../../claim/device_names.ts";
import { NOT_NEEDED } from "../../async/aborted.ts";
import { pauseAfter } from "../../async/backoff.ts";
import { Notifier } from "../../async/notifier.ts";
import { attachmentKey, type AttachmentView } from "../attachments/attachment_view.ts";
import type { Clock } from "../../async/clock.ts";
import type { Devices, Events, Log, Metrics } from "../ports.ts";
import type { Lost, NodeDevice } from "../model.ts";
import type { CheckOutcome, PodAttachments } from "../attachments/pod_attachments.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { describeAttachment, describePod } from "../describe.ts";

/** What CHECK does not find is looked for again after this before anything is done about it. */
const SECOND_LOOK = 5_000;
/** After each CHECK comes a rest of so many times its length: the rounds take a fifth of a core at most. */
const REST = 4;

/** What the check loop needs outside mod/agent. */
export interface CheckLoopPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "checked">;
  readonly events: Events;
  readonly devices: Devices;
}

/** How often the check loop runs, and what it does about a loss. */
export interface CheckLoopOptions {
  /** Milliseconds from one round to the next; 0 for no rounds. */
  readonly interval: number;
  /** Whether lost networks are attached again. */
  readonly repair: boolean;
}

interface Subject {
  readonly network: PodAttachments;
  readonly entry: AttachmentView;
}

/**
 * Verifies attachments with CNI CHECK: all of them in rounds, and at once those on an interface of the
 * node that has disappeared. An attachment is lost when two checks in a row do not find it as ADD left
 * it, until CHECK succeeds again.
 */
export class CheckLoop {
  readonly #ports: CheckLoopPorts;
  readonly #sandboxes: Sandboxes;
  readonly #changes = new Notifier();
  #urgent: Subject[] = [];
  /** Why CHECK says nothing about an attachment, by its key: repeats are not reported again. */
  readonly #said = new WeakMap<PodAttachments, Map<string, string>>();

  constructor(ports: CheckLoopPorts, sandboxes: Sandboxes) {
    this.#ports = ports;
    this.#sandboxes = sandboxes;
  }

  /** An interface of the node is gone: the attachments on it are checked next. Returns at once. */
  deviceGone(device: NodeDevice): void {
    const { interface: name } = device.attributes;
    const interfaceName = name && "string" in name ? name.string : undefined;
    for (const network of this.#sandboxes.all()) {
      for (const entry of network.entries) {
        const stands = originalDevice(entry.attachment.device) === device.name ||
          interfaceName !== undefined && mastersOf(entry).includes(interfaceName);
        if (stands) this.#urgent.push({ network, entry });
      }
    }
    this.#changes.notify();
  }

  /** Until the signal is aborted. */
  async run(options: CheckLoopOptions, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const { interval } = options;
    let due = clock.elapsed();
    while (!signal.aborted) {
      await this.#lookAtUrgent(options, signal);
      const left = due - clock.elapsed();
      if (interval > 0 && left <= 0) {
        await this.#round(options, signal);
        due = clock.elapsed() + pauseAfter(1, { first: interval, most: interval });
      } else if (this.#urgent.length === 0) {
        await this.#wait(interval > 0 ? left : undefined, signal);
      }
    }
  }

  async #round(options: CheckLoopOptions, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const suspects: Subject[] = [];
    for (const network of this.#sandboxes.all()) {
      for (const entry of network.entries) {
        await this.#lookAtUrgent(options, signal);
        if (signal.aborted) return;
        const began = clock.elapsed();
        const sure = network.current(entry)?.lost !== undefined;
        const found = await this.#look({ network, entry }, { ...options, signal, sure });
        if (found === "lost" && !sure) {
          suspects.push({ network, entry });
        }
        const spent = clock.elapsed() - began;
        const rest = Math.min(REST * spent, options.interval);
        if (rest > 0) await clock.sleep(rest, signal).catch(() => {});
      }
      network.recordChecks();
    }
    if (suspects.length === 0) return;
    const pause = Math.min(SECOND_LOOK, options.interval);
    await clock.sleep(pause, signal).catch(() => {});
    for (const subject of suspects) {
      if (signal.aborted) return;
      await this.#look(subject, { ...options, signal, sure: true });
    }
  }

  async #lookAtUrgent(options: CheckLoopOptions, signal: AbortSignal): Promise<void> {
    while (this.#urgent.length > 0 && !signal.aborted) {
      // That its interface has gone is the first sign, so that CHECK is the second.
      await this.#look(this.#urgent.shift()!, {
        ...options,
        signal,
        sure: true,
        vanished: true,
      });
    }
  }

  /** @returns what CHECK said; undefined when it did not come to it */
  async #look(
    { network, entry: seen }: Subject,
    { repair, sure, signal, vanished = false }: CheckLoopOptions & {
      readonly signal: AbortSignal;
      /** Whether a failure is the second sign that it is lost. */
      readonly sure: boolean;
      /** Whether the interface below it has just disappeared. */
      readonly vanished?: boolean;
    },
  ): Promise<CheckOutcome["state"] | undefined> {
    const { metrics } = this.#ports;
    const finding = await network.check(seen, signal);
    const entry = network.current(seen);
    if (!finding || !entry) return undefined;
    const cause = "cause" in finding ? finding.cause : "its plugins cannot check it";
    if (finding.state !== "uncheckable") {
      metrics.checked(finding.state === "unproven" ? "unknown" : finding.state);
    }
    switch (finding.state) {
      case "intact":
        this.#markIntact({ network, entry });
        break;
      case "unknown":
        this.#sayOnce({ network, entry }, cause);
        break;
      case "lost":
        if (sure) this.#markLost({ network, entry }, { cause, repair });
        break;
      case "unproven":
      case "uncheckable":
        if (finding.state === "unproven") {
          this.#sayOnce(
            { network, entry },
            `CHECK fails although ADD has just succeeded: ${cause}`,
          );
        }
        // What was made on an interface goes with it; what was moved into the pod (host-device) does not.
        if (entry.lost || vanished && mastersOf(entry).length > 0) {
          this.#markLost({ network, entry }, { cause, repair });
        }
    }
    return finding.state;
  }

  #markLost(
    { network, entry }: Subject,
    { cause, repair }: { readonly cause: string; readonly repair: boolean },
  ): void {
    const { log, events } = this.#ports;
    const gone = this.#isDeviceGone(entry);
    const { device } = entry.attachment;
    const reason: Lost["reason"] = gone ? "DeviceRemoved" : "NetworkInterfaceLost";
    const message = gone
      ? `the interface of device ${device} is gone from the node: ${cause}`
      : cause;
    const before = entry.lost?.reason;
    // Without its interface it could only be taken away.
    network.markLost(entry, { reason, message, repair: repair && !gone });
    if (before === reason) return;
    const next = repair
      ? gone ? "it is attached again when the device is back" : "attaching it again"
      : "recreate the pod to attach it again";
    const what = `${describeAttachment(entry)} is lost: ${message}: ${next}`;
    log.warn(`${describePod(network.sandbox.pod)}: ${what}`);
    events.warn({
      reason: gone ? "NetworkDeviceRemoved" : "NetworkLost",
      message: what,
      about: { kind: "Pod", ...network.sandbox.pod },
    });
  }

  #markIntact({ network, entry }: Subject): void {
    this.#said.get(network)?.delete(keyOf(entry));
    network.markIntact(entry);
    if (!entry.lost) return;
    const { pod } = network.sandbox;
    this.#ports.log.info(`${describePod(pod)}: ${describeAttachment(entry)} is intact again`);
  }

  #sayOnce({ network, entry }: Subject, cause: string): void {
    const said = this.#said.get(network) ?? new Map<string, string>();
    this.#said.set(network, said);
    const level = said.get(keyOf(entry)) === cause ? "debug" : "warn";
    said.set(keyOf(entry), cause);
    this.#ports.log[level](
      `${describePod(network.sandbox.pod)}: cannot check ${describeAttachment(entry)}`,
      { error: cause },
    );
  }

  #isDeviceGone({ attachment }: AttachmentView): boolean {
    return originalDevice(attachment.device) !== CNI_DEVICE &&
      this.#ports.devices.isGone(attachment.device);
  }

  /** Until something is urgent, or `ms` are over. */
  async #wait(ms: number | undefined, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const until = AbortSignal.any([signal, done.signal]);
    const waits = [this.#changes.next(until)];
    if (ms !== undefined) waits.push(this.#ports.clock.sleep(ms, until));
    await Promise.race(waits).catch(() => {});
    done.abort(NOT_NEEDED);
    await Promise.allSettled(waits);
  }
}

function keyOf({ claim, attachment }: AttachmentView): string {
  return attachmentKey(claim, attachment);
}

/** The interfaces of the node on which an attachment was made and without which it cannot be. */
function mastersOf({ attachment }: AttachmentView): string[] {
  return attachment.network.plugins.flatMap(({ master, bridge, linkInContainer }) =>
    linkInContainer === true ? [] : [master, bridge].filter((name) => typeof name === "string")
  );
}
