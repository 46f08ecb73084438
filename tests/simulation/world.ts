import type { ClaimRef } from "../../mod/claim/attachment.ts";
import { NETWORK_API } from "../../mod/networks/network_object.ts";
import { driverName } from "../../mod/cmd/settings.ts";
import { DRIVER, SimulatedApi, type StoredClaim } from "./api_server.ts";
import { Chance } from "./chance.ts";
import { copyOf } from "./copy.ts";
import { withSortedKeys } from "./key_order.ts";
import type { Mounted } from "./deno_files.ts";
import { NETWORKS } from "./networks.ts";
import { SimulatedNode } from "./node.ts";
import type { Plan, PlannedClaim, PlannedPod, Stimulus } from "./plan.ts";
import type { Claim, Pod } from "./pods.ts";
import { Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";

const DRIVER_NAMES = ["dra.networking", "net", "a-1.example", "1net.example", "9"];
/** A vendor as the CDI specification has it. */
const CDI_VENDOR = /^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]$/;

/** The entry of another driver in a claim's status. */
export const OTHERS_ENTRY = { driver: "other.example", pool: "other", device: "o1" };

/** All there is: the cluster with its API server, scheduler and nodes. */
export class World {
  readonly plan: Plan;
  readonly chance: Chance;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly api: SimulatedApi;
  readonly nodes: SimulatedNode[];
  readonly claims = new Map<string, Claim>();
  readonly pods = new Map<string, Pod>();
  /** UIDs of claims of which a kubelet has lost its record. */
  readonly forgotten = new Set<string>();
  /** Whether nothing goes wrong any more, and all pods are to end. */
  isEmptying = false;
  #allocations = 0;
  #uids = 0;

  constructor(plan: Plan, keep?: (line: string) => void) {
    this.plan = plan;
    this.chance = new Chance(plan.seed);
    this.scheduler = new Scheduler(this.chance);
    this.trace = new Trace(() => this.scheduler.elapsed / 1000, keep);
    this.api = new SimulatedApi(this);
    this.nodes = Array.from({ length: plan.nodes }, (_, i) => new SimulatedNode(this, `node${i}`));
  }

  operation(what: string): void {
    this.trace.operation(what);
  }

  /** Lets some time pass. */
  pause(what: string, least: number, most: number): Promise<void> {
    const drawn = this.chance.draw(what);
    // Many answers come in one moment, and a few late.
    const ms = drawn < 0.3 ? least : least + (most - least) * ((drawn - 0.3) / 0.7) ** 2;
    return this.scheduler.sleep(ms);
  }

  mounted(process: string, disk: string): Mounted {
    const [node] = process.split("-");
    const found = this.nodes.find(({ name }) => name === node)!;
    const agent = found.agents.find((each) => each.process.name === process) ??
      this.#dead.get(process);
    if (!agent) throw new Error(`${process} is not a process`);
    this.#dead.set(process, agent);
    return found.mounted(agent, disk);
  }

  /** Processes ask on after their end, and get nothing. */
  readonly #dead = new Map<string, SimulatedNode["agents"][number]>();

  begin(): void {
    this.#nameDriver();
    for (const node of this.nodes) node.startAgent();
    for (const stimulus of this.plan.stimuli) {
      this.scheduler.after(stimulus.at, () => this.#meet(stimulus));
    }
  }

  /** A driver's name that the agent takes must be one that the runtime takes in CDI files. */
  #nameDriver(): void {
    const name = DRIVER_NAMES[this.chance.between("driver name", 0, DRIVER_NAMES.length - 1)]!;
    try {
      driverName(name);
    } catch {
      return;
    }
    if (CDI_VENDOR.test(name)) return;
    this.trace.violation("progress", `the runtime takes no CDI files of the driver ${name}`);
  }

  #meet(stimulus: Stimulus): void {
    if (stimulus.kind === "pod") return void this.#bear(stimulus);
    const node = this.nodes[stimulus.node]!;
    const { kind } = stimulus;
    const about = "fault" in stimulus ? ` ${stimulus.fault} for ${stimulus.lasts}` : "";
    this.operation(`${node.name}: ${kind}${about}`);
    switch (stimulus.kind) {
      case "fault":
        node.beginFault(stimulus.fault);
        this.scheduler.after(stimulus.lasts, () => node.endFault(stimulus.fault));
        return;
      case "crash":
        return node.crash(stimulus);
      case "crashBeforeRecord":
        return node.crashBeforeRecord(stimulus.away);
      case "restart":
        return node.restart(stimulus.away);
      case "handover":
        return node.handOver(stimulus);
      case "runtimeRestart":
        return void node.runtime.restart(stimulus.away);
      case "disconnect":
        return node.runtime.disconnect();
      case "kubeletRestart":
        return node.kubelet.restart(stimulus.forgets);
      case "reboot":
        return node.reboot();
      case "linkLost":
        return node.loseLink(stimulus.choice);
      case "repairFails":
        return node.failRepair(stimulus.choice);
      case "nameTaken":
        return node.takeName(stimulus.away);
      case "strangeUnprepare":
        return node.kubelet.strangeUnprepare(stimulus.choice);
      case "recordDamaged":
        return node.damageRecord(stimulus.choice);
      case "stateLost":
        return node.loseState();
      case "hostileRequest":
        return node.agents.at(-1)?.askForForeignProgram();
      case "addressDeleted":
        return this.api.addresses.deleteByHand(stimulus.choice);
      case "clockSetBack":
        node.clockSetBy -= stimulus.by;
    }
  }

  /** A pod from its creation to the end of all that it needs. */
  async #bear(plan: PlannedPod): Promise<void> {
    const node = this.nodes[plan.node]!;
    const uid = `uid-${plan.name}`;
    const claims = plan.claims.map((name) => this.#claim(name));
    const pod: Pod = {
      plan,
      name: plan.name,
      uid,
      claims,
      sandbox: undefined,
      sandboxes: 0,
      deleting: false,
      gone: false,
      wake: () => {},
      unprepared: false,
    };
    this.pods.set(plan.name, pod);
    const id = { namespace: "default", name: plan.name, uid };
    this.api.pods.set(`default/${plan.name}`, {
      metadata: id,
      spec: {
        resourceClaims: claims.map(({ plan: { name, isTemplate } }) =>
          isTemplate ? { name: "t", resourceClaimTemplateName: "t" } : {
            name,
            resourceClaimName: name,
          }
        ),
      },
      status: {
        resourceClaimStatuses: claims.flatMap(({ plan: { name, isTemplate } }) =>
          isTemplate ? [{ name: "t", resourceClaimName: name }] : []
        ),
      },
    });
    this.scheduler.after(plan.lives, () => this.remove(pod));
    for (let tries = 0; !this.#allocate(pod, node.name); tries++) {
      // Another node has it, or its device.
      if (pod.deleting) {
        pod.gone = true;
        return;
      }
      await this.scheduler.sleep(500);
    }
    this.trace.note(`${pod.name} comes to ${node.name}`);
    await node.kubelet.live(pod);
    this.remove(pod);
    this.#release(pod);
  }

  remove(pod: Pod): void {
    if (pod.deleting) return;
    this.trace.note(`${pod.name} is deleted`);
    pod.deleting = true;
    pod.wake();
    if (pod.plan.isForced) this.#release(pod);
  }

  /** Its claims do not wait for the node either. */
  removeByForce(pod: Pod): void {
    this.remove(pod);
    this.#release(pod);
  }

  #claim(name: string): Claim {
    let claim = this.claims.get(name);
    const plan = this.plan.claims.find((each) => each.name === name)!;
    if (!claim) {
      const ref = { namespace: "default", name, uid: `uid-${name}-${++this.#uids}` };
      this.claims.set(
        name,
        claim = {
          plan,
          ref,
          createdBy: this.chance.hits(`creator of ${name}`, 0.2) ? "program" : "kubectl",
          node: undefined,
          users: new Set(),
        },
      );
      const pod = [...this.plan.stimuli].find((each) =>
        each.kind === "pod" && each.claims.includes(name)
      ) as PlannedPod;
      this.api.claims.set(`default/${name}`, stored(ref, plan, pod.name));
    }
    return claim;
  }

  /** The scheduler's part: devices for all of the pod's claims on one node, and the reservation. */
  #allocate(pod: Pod, node: string): boolean {
    const { claims } = pod;
    if (claims.some((claim) => claim.node !== undefined && claim.node !== node)) return false;
    const free = new Set(["eth1", "eth2"]);
    for (const { status } of this.api.claims.values()) {
      for (const { pool, device } of status.allocation?.devices.results ?? []) {
        if (pool === node) free.delete(device);
      }
    }
    const results = new Map<Claim, NonNullable<StoredClaim["status"]["allocation"]>>();
    for (const claim of claims.filter((each) => each.node === undefined)) {
      const devices = claim.plan.networks.map(({ kind }) => {
        if (kind !== "exclusive") return "cni";
        const [device] = free;
        if (device) free.delete(device);
        return device;
      });
      if (devices.includes(undefined)) return false;
      results.set(claim, this.#allocation(claim, { node, devices: devices as string[] }));
    }
    for (const claim of claims) {
      const object = this.api.claims.get(`default/${claim.plan.name}`)!;
      const allocation = results.get(claim);
      if (allocation) {
        claim.node = node;
        object.status.allocation = allocation;
        object.status.devices = claim.plan.withOther ? [OTHERS_ENTRY] : [];
      }
      claim.users.add(pod);
      object.status.reservedFor = [
        ...object.status.reservedFor ?? [],
        { resource: "pods", name: pod.name, uid: pod.uid },
      ];
      this.api.change(object);
    }
    return true;
  }

  #allocation(
    { plan: { networks, withOther }, createdBy }: Claim,
    { node, devices }: { readonly node: string; readonly devices: readonly string[] },
  ) {
    const asCreated = createdBy === "kubectl" ? withSortedKeys : copyOf;
    return {
      devices: {
        results: [
          ...networks.map(({ request }, i) => ({
            request,
            driver: DRIVER,
            pool: node,
            device: devices[i]!,
            ...(devices[i] === "cni" && { shareID: `share-${++this.#allocations}` }),
          })),
          ...withOther ? [{ ...OTHERS_ENTRY, request: "other" }] : [],
        ],
        config: networks.map(({ request, network, kind, ifName }) => ({
          source: "FromClass",
          requests: [request],
          opaque: {
            driver: DRIVER,
            parameters: asCreated(
              kind === "addressed"
                ? {
                  apiVersion: NETWORK_API,
                  kind: "Network",
                  ...(ifName !== undefined && { interfaceName: ifName }),
                  networkName: network,
                }
                : {
                  ...(ifName !== undefined && { interface: ifName }),
                  config: { name: network, ...NETWORKS[kind] },
                },
            ),
          },
        })),
      },
    };
  }

  /** The claims' controller's part: the reservation ends, and with the last one the allocation. */
  #release(pod: Pod): void {
    const key = `default/${pod.name}`;
    if (!this.api.pods.delete(key)) return;
    for (const claim of pod.claims) {
      if (!claim.users.delete(pod)) continue;
      const name = `default/${claim.plan.name}`;
      const object = this.api.claims.get(name);
      if (!object) continue;
      object.status.reservedFor = object.status.reservedFor?.filter(({ uid }) => uid !== pod.uid);
      if (claim.users.size === 0) {
        claim.node = undefined;
        delete object.status.allocation;
        delete object.status.devices;
        if (claim.plan.isTemplate) this.api.claims.delete(name);
      }
      this.api.change(object);
    }
  }

  /** The devices of a claim now, in words; undefined where it is not allocated. */
  devicesOf({ name }: ClaimRef): string | undefined {
    const { allocation } = this.api.claims.get(`default/${name}`)?.status ?? {};
    return allocation?.devices.results.filter(({ driver }) => driver === DRIVER)
      .map(({ device, shareID }) => `${device} ${shareID}`).join(", ");
  }

  /**
   * What Prepare answers is what is allocated now, or was when it was asked: it reads the claim once.
   *
   * @param before the claims' devices then, in the order of `refs`
   */
  assertCurrent(
    answer: ReadonlyMap<string, unknown>,
    refs: readonly ClaimRef[],
    before: readonly (string | undefined)[],
  ): void {
    for (const [i, ref] of refs.entries()) {
      const { uid, name } = ref;
      const { devices } = answer.get(uid) as {
        readonly devices: readonly { readonly device: string; readonly shareID?: string }[];
      };
      const said = devices.map(({ device, shareID }) => `${device} ${shareID}`).join(", ");
      const current = this.devicesOf(ref);
      if (current === undefined || said === current || said === before[i]) continue;
      this.trace.violation("stale", `Prepare of ${name} answers ${said}; allocated is ${current}`);
    }
  }
}

function stored(ref: ClaimRef, plan: PlannedClaim, pod: string): StoredClaim {
  return {
    metadata: {
      ...ref,
      resourceVersion: "0",
      ...(plan.isTemplate && {
        ownerReferences: [{ kind: "Pod", name: pod, uid: `uid-${pod}`, controller: true }],
        annotations: { "resource.kubernetes.io/pod-claim-name": "t" },
      }),
    },
    status: {},
  };
}
