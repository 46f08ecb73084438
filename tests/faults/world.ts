import { basename, join } from "node:path";
import { ip } from "../../mod/simulator/private_node.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { SupervisedAgent, type SupervisedOptions } from "./agent.ts";
import { ApiFaults } from "./api_faults.ts";
import { ClusterAddresses } from "./cluster_addresses.ts";
import { linksOf } from "./links.ts";
import type { Machine } from "./machine.ts";
import {
  ADDRESSED,
  CONFIGS,
  LEASES,
  NETWORKS_PATH,
  OTHER,
  parametersOf,
  SCARCE,
} from "./networks.ts";
import { MisbehavingPlugins } from "./plugins.ts";
import { type Claim, type Pod, runningSandbox, type Sandbox, wantedBy } from "./pods.ts";
import type { Record } from "./record.ts";
import type { PodRuntime } from "./runtime.ts";
import type { Life, PlannedClaim, Round } from "./schedule.ts";
import { uptime } from "./uptime.ts";
import { errorMessage } from "../../mod/async/error_message.ts";

export const DRIVER = "dra.networking";
export const NODE = "node-1";
/** What the other driver says of its device. */
export const OTHERS_ENTRY = {
  ...OTHER,
  pool: NODE,
  conditions: [{
    type: "Ready",
    status: "True",
    reason: "Fine",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  }],
};
/** A step of a pod must come to its end within this although there are faults, in milliseconds. */
const STEP_LIMIT = 90_000;
/** The kubelet's pauses between tries, made short. */
const RETRY = 300;

export interface WorldOptions {
  readonly folder: string;
  readonly runtime: PodRuntime;
  /** The folder of real CNI plugins. */
  readonly cniPath: string;
  readonly record: Record;
  readonly machine: Machine;
  readonly sabotage?: SupervisedOptions["sabotage"];
  readonly logs?: string;
}

/** The node: its agent, its pods, and the kubelet, runtime and API server around them. */
export class World {
  readonly api = new SimulatedApiServer();
  /** The addresses of the cluster. */
  readonly addresses: ClusterAddresses;
  readonly runtime: PodRuntime;
  readonly record: Record;
  readonly folder: string;
  readonly pods = new Map<string, Pod>();
  /** Claims that the API server has, by UID. */
  readonly claims = new Map<string, Claim>();
  kubelet: SimulatedKubelet;
  agent!: SupervisedAgent;
  plugins!: MisbehavingPlugins;
  apiFaults!: ApiFaults;
  /** Every sandbox that there was since pods were last looked at, by id. */
  readonly sandboxes = new Map<string, Sandbox>();
  /** UIDs of claims of which a record was damaged. */
  readonly damaged = new Set<string>();
  /** The round that is played. */
  round: Round | undefined;
  readonly #options: WorldOptions;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.folder = options.folder;
    this.runtime = options.runtime;
    this.record = options.record;
    this.kubelet = new SimulatedKubelet({ kubeletDir: this.paths.kubelet });
    this.addresses = new ClusterAddresses(this);
  }

  get paths() {
    return { kubelet: join(this.folder, "kubelet"), state: join(this.folder, "state") };
  }

  get recordFolders(): string[] {
    return ["claims", "attachments"].map((kind) => join(this.paths.state, kind));
  }

  async start(): Promise<void> {
    const { cniPath, record, sabotage, logs } = this.#options;
    this.plugins = await MisbehavingPlugins.install(this.folder, { real: cniPath });
    // Disks of their own, which can be full or read-only: the agent keeps its lock open beside them.
    // They hold the records of all claims that were unprepared in the last minutes.
    for (const folder of this.recordFolders) {
      await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
      await mount(["-t", "tmpfs", "-o", "size=32m", "tmpfs", folder]);
    }
    this.api.start();
    this.api.addNode(NODE);
    this.api.objects.put(NETWORKS_PATH, ADDRESSED.object);
    this.apiFaults = new ApiFaults(this.api, (request) => this.addresses.answer(request));
    const kubeconfig = join(this.folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, this.api.kubeconfig());
    await this.kubelet.start();
    this.agent = new SupervisedAgent({
      folder: this.folder,
      pluginFolder: this.plugins.folder,
      flags: [
        ...["--node-name", NODE, "--driver-name", DRIVER, "--listen", ""],
        ...["--kubelet-dir", this.paths.kubelet, "--nri-socket", this.runtime.nriSocket],
        ...["--state-dir", this.paths.state, "--cdi-dir", this.runtime.cdiFolder],
        ...["--cni-path", this.plugins.folder, "--cni-timeout", "2s"],
        ...["--kubeconfig", kubeconfig, "--network-objects"],
        ...["--check-interval", "3s", "--gc-networks", "current,chain"],
      ],
      sabotage,
      logs,
      note: (line) => record.note(line),
      onCrash: (point) => record.fault("agentCrashes", point),
      onUnexpectedEnd: (how) => record.violation("progress", `the agent ended by itself: ${how}`),
    });
    await this.agent.start();
  }

  async stop(): Promise<void> {
    const code = await this.agent.stop();
    if (code !== 0) this.record.violation("progress", `the agent exits with ${code} on SIGTERM`);
    await this.kubelet.stop();
    await this.api.stop();
    for (const folder of this.recordFolders) await umount(folder);
    await this.#removeRemains();
  }

  /** A run that ends early has pods, whose addresses the next run in this node would lack. */
  async #removeRemains(): Promise<void> {
    for (const { netns } of this.sandboxes.values()) {
      if (netns) await ip(["netns", "delete", basename(netns)]).catch(() => {});
    }
    for (const network of Object.keys(CONFIGS)) {
      await Deno.remove(join(LEASES, network), { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  }

  /** The scheduler's part: claims allocated and reserved. */
  admit(lives: readonly Life[]): void {
    for (const life of lives) {
      const uid = crypto.randomUUID();
      const shared = life.sharesWith ? this.pods.get(life.sharesWith)!.claims.slice(0, 1) : [];
      const claims = [...shared];
      for (const plan of life.claims) claims.push(this.#makeClaim(plan));
      const pod: Pod = {
        life,
        name: life.pod,
        uid,
        bornIn: this.round?.number ?? 0,
        claims,
        sandboxes: [],
        ending: false,
        turn: Promise.resolve(),
        anew: Promise.resolve(),
      };
      this.pods.set(pod.name, pod);
      for (const claim of claims) {
        claim.users.add(pod);
        claim.shared ||= claim.users.size > 1;
        this.#reserve(claim);
      }
    }
  }

  /** A pod from its begin as far as it shall come. */
  async begin(pod: Pod): Promise<void> {
    const { life } = pod;
    const pauses = endlessly(life.pauses);
    await pause(pauses());
    await this.prepare(pod);
    if (life.prepareTwice) {
      await pause(pauses());
      await this.#inTurn(pod, () => this.#prepareAnew(pod));
    }
    await pause(pauses());
    if (life.course === "preparedOnly") return;
    if (life.course === "stopWithoutRun") {
      await this.#operation(
        `stop ${pod.name}, which never ran`,
        () => this.runtime.stopUnknown(pod),
      );
      return;
    }
    await this.sync(pod);
    if (life.course !== "replacedSandbox") return;
    await pause(pauses());
    const old = pod.sandboxes.at(-1);
    if (!old) return;
    await this.#inTurn(pod, async () => {
      await this.#operation(`stop ${shown(old)}`, () => this.runtime.stop(old));
    });
    await this.sync(pod);
    await pause(pauses());
    await this.#operation(`stop ${shown(old)} late`, () => this.runtime.stopLate(old));
  }

  /** The kubelet prepares the pod's claims. */
  prepare(pod: Pod): Promise<void> {
    return this.#inTurn(pod, () => this.#prepare(pod));
  }

  /** What the kubelet does again and again: prepare, sandbox, containers. */
  sync(pod: Pod): Promise<void> {
    return this.#inTurn(pod, async () => {
      const began = performance.now();
      for (let problem = ""; !pod.ending;) {
        try {
          await this.#prepare(pod);
          const sandbox = runningSandbox(pod) ?? await this.#run(pod);
          if (pod.life.course === "hostNetwork") return await this.#expectRefusal(sandbox);
          await this.#createContainers(sandbox);
          return;
        } catch (error) {
          const said = errorMessage(error);
          if (said !== problem) this.record.note(`${pod.name}: ${said}`);
          problem = said;
          if (this.#isExhausted(said)) {
            this.record.fault("addressesExhausted", pod.name);
            return;
          }
        }
        if (performance.now() - began > STEP_LIMIT) {
          this.record.violation("progress", `${pod.name} does not start: ${problem}`);
          return;
        }
        await pause(RETRY);
      }
    });
  }

  async end(pod: Pod): Promise<void> {
    pod.ending = true;
    await this.#inTurn(pod, async () => {
      const sandbox = runningSandbox(pod);
      if (sandbox) {
        this.record.note(`end ${shown(sandbox)}: ${pod.life.end}`);
        this.record.operations += await this.runtime.end(sandbox, pod.life.end);
        this.record.calls++;
      }
      // A kubelet calls of one pod at a time.
      await pod.anew;
      for (const claim of pod.claims) claim.users.delete(pod);
      const unused = pod.claims.filter(({ users }) => users.size === 0);
      await this.#unprepare(pod, unused);
      if (pod.life.unprepareTwice) await this.#unprepare(pod, unused);
      for (const claim of pod.claims) this.#reserve(claim);
      this.pods.delete(pod.name);
    });
  }

  /** The kubelet begins again, with the connection only or with all that it knew of Prepare. */
  async restartKubelet({ forgets }: { readonly forgets: boolean }): Promise<void> {
    const old = this.kubelet;
    const next = new SimulatedKubelet({ kubeletDir: this.paths.kubelet });
    await next.start();
    this.kubelet = next;
    await old.stop();
    if (!forgets) return;
    this.api.slices.deleteAll();
    for (const claim of this.claims.values()) claim.prepared = false;
    await Promise.all([...this.pods.values()].map((pod) => pod.anew = this.#prepareAnew(pod)));
  }

  /** Sandboxes that were there, with all their networks, before the round and stay after it. */
  staying(): Sandbox[] {
    if (this.round?.faults.some(({ kind }) => kind === "nodeRebooted")) return [];
    return [...this.pods.values()].flatMap((pod) => {
      const sandbox = runningSandbox(pod);
      const stays = sandbox && pod.bornIn !== this.round?.number && !pod.ending &&
        !this.round?.ended.includes(pod.name) && pod.claims.every(({ users }) => users.size === 1);
      return stays && sandbox.attachedSince !== undefined ? [sandbox] : [];
    });
  }

  /** Whether a record on disk tells of an attachment of this claim to this sandbox. */
  async isOnRecord(claim: string, sandbox: string): Promise<boolean> {
    const folder = join(this.paths.state, "attachments");
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
    for (const name of names.filter((each) => each.startsWith(claim))) {
      const text = await Deno.readTextFile(join(folder, name)).catch(() => "");
      // What was damaged tells nothing, but it is a record.
      if (text.includes(sandbox) || this.damaged.has(claim)) return true;
    }
    return false;
  }

  /** Removes what no pod uses any more, with what was known of its sandboxes. */
  clear(): void {
    for (const [uid, claim] of this.claims) {
      if (claim.users.size > 0) continue;
      this.claims.delete(uid);
      this.api.delete("default", claim.ref.name);
    }
    for (const [id, { state }] of this.sandboxes) if (state === "gone") this.sandboxes.delete(id);
  }

  #makeClaim(plan: PlannedClaim): Claim {
    const results = plan.networks.map((network, i) => ({
      request: network.interface,
      driver: DRIVER,
      pool: NODE,
      device: `cni-${i}`,
    }));
    const other = { request: "other", ...OTHER, pool: NODE };
    const stored = this.api.put({
      metadata: { name: plan.name, namespace: "default" },
      status: {
        allocation: {
          devices: {
            results: plan.withOther ? [...results, other] : results,
            config: plan.networks.map((network) => ({
              source: "FromClaim",
              requests: [network.interface],
              opaque: {
                driver: DRIVER,
                parameters: parametersOf(network.network, network.interface),
              },
            })),
          },
        },
        reservedFor: [],
        ...(plan.withOther && { devices: [OTHERS_ENTRY] }),
      },
    });
    const { uid } = stored.metadata;
    const claim: Claim = {
      plan,
      ref: { namespace: "default", name: plan.name, uid },
      users: new Set(),
      shared: false,
      prepared: false,
      cdiDevices: [],
      wanted: [],
    };
    plan.networks.forEach((network, i) =>
      claim.wanted.push({ claim, device: `cni-${i}`, ...network })
    );
    this.claims.set(uid, claim);
    return claim;
  }

  /** `status.reservedFor` as scheduler and controllers keep it; without users the claim is deallocated. */
  #reserve({ ref, users }: Claim): void {
    const stored = this.api.get("default", ref.name);
    if (!stored) return;
    stored.status = users.size === 0 ? {} : {
      ...stored.status,
      reservedFor: [...users].map(({ name, uid }) => ({ resource: "pods", name, uid })),
    };
  }

  async #prepare(pod: Pod): Promise<void> {
    const missing = pod.claims.filter(({ prepared }) => !prepared);
    if (missing.length === 0) return;
    await this.#operation(`prepare ${pod.name}`, () => this.#callPrepare(pod, missing), {
      repeats: true,
    });
  }

  /** As a kubelet does that was restarted. */
  async #prepareAnew(pod: Pod): Promise<void> {
    if (pod.claims.length === 0 || pod.ending) return;
    await this.#operation(`prepare ${pod.name} again`, () => this.#callPrepare(pod, pod.claims), {
      repeats: true,
      while: () => !pod.ending,
    });
  }

  async #callPrepare(pod: Pod, claims: readonly Claim[]): Promise<void> {
    await within(5_000, this.kubelet.registered(DRIVER));
    const answers = await this.kubelet.prepare(DRIVER, claims.map(({ ref }) => ref));
    for (const claim of claims) {
      const answer = answers[claim.ref.uid];
      if (!answer || answer.error) throw new Error(answer?.error ?? "no answer for a claim");
      claim.prepared = true;
      claim.cdiDevices = [...new Set(answer.devices.flatMap(({ cdiDeviceIds }) => cdiDeviceIds))];
    }
    this.record.note(`prepared ${pod.name}: ${claims.map(({ ref }) => ref.uid).join(" ")}`);
  }

  async #unprepare(pod: Pod, claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return;
    await this.#operation(`unprepare ${pod.name}`, async () => {
      await within(5_000, this.kubelet.registered(DRIVER));
      const answers = await this.kubelet.unprepare(DRIVER, claims.map(({ ref }) => ref));
      for (const claim of claims) {
        const answer = answers[claim.ref.uid];
        if (!answer || answer.error) throw new Error(answer?.error ?? "no answer for a claim");
        claim.prepared = false;
      }
    }, { repeats: true });
  }

  /** Unprepare of claims that are none, or another with that name. */
  async strangeUnprepare(choice: number): Promise<void> {
    const known = [...this.claims.values()].filter(({ prepared }) => prepared);
    const name = known[Math.floor(choice * known.length)]?.ref.name ?? "never-there";
    const ref = { namespace: "default", name, uid: crypto.randomUUID() };
    await this.#operation(`unprepare ${name} with another UID`, async () => {
      await within(5_000, this.kubelet.registered(DRIVER));
      const answers = await this.kubelet.unprepare(DRIVER, [ref]);
      if (answers[ref.uid]?.error !== "") throw new Error(answers[ref.uid]?.error ?? "no answer");
    }, { repeats: true });
  }

  async #run(pod: Pod): Promise<Sandbox> {
    let sandbox: Sandbox | undefined;
    await this.#operation(`run ${pod.name}`, async () => {
      sandbox = await this.runtime.run(pod);
      this.sandboxes.set(sandbox.id, sandbox);
      this.record.note(`${pod.name} runs as ${sandbox.id}`);
    });
    return sandbox!;
  }

  async #createContainers(sandbox: Sandbox): Promise<void> {
    const { life, claims } = sandbox.pod;
    const devices = life.namesClaims ? claims.flatMap(({ cdiDevices }) => cdiDevices) : [];
    for (let n = 0; n < life.containers; n++) {
      const name = `container-${n}`;
      if (sandbox.containers.includes(name)) continue;
      await this.#operation(`create ${name} of ${shown(sandbox)}`, async () => {
        await this.runtime.up;
        const before = this.#guard(devices.length > 0);
        await this.runtime.createContainer(sandbox, name, devices);
        await this.#checkGate(sandbox, { name, before, byCdi: devices.length > 0 });
      });
    }
  }

  /**
   * What keeps containers waiting now: something that changes when that does; undefined when there
   * is nothing. The agent does, as long as it is connected; without that, as long as it lives and
   * has had the time to see it, the CDI devices of containers that name their claims. What holds
   * without an agent is another matter: #isHeld().
   */
  #guard(byCdi: boolean): string | undefined {
    const { runtime, agent } = this;
    // A connection that was ended may look alive for a moment.
    const sure = performance.now() - runtime.lostAt > 300;
    return sure && agent.serving && (runtime.connected || byCdi)
      ? `${runtime.epoch} ${agent.epoch}`
      : undefined;
  }

  async #checkGate(
    sandbox: Sandbox,
    { name, before, byCdi }: {
      readonly name: string;
      readonly before: string | undefined;
      readonly byCdi: boolean;
    },
  ): Promise<void> {
    const links = await linksOf(sandbox);
    this.record.checked("gate");
    const missing = wantedBy(sandbox.pod).filter((wanted) => !links.get(wanted.interface)?.address);
    const { runtime, agent } = this;
    // A death of the agent may become known a moment later.
    await pause(30);
    if (missing.length === 0) {
      // What no agent vouches for may be recreated: its ADD was half done when the agent died.
      const vouched = runtime.connected && before === `${runtime.epoch} ${agent.epoch}`;
      if (vouched) noteAttached(sandbox, links);
      return;
    }
    if (sandbox.state !== "running") return;
    await pause(300);
    const guarded = before === `${runtime.epoch} ${agent.epoch}`;
    const which = missing.map((wanted) => wanted.interface).join(", ");
    if (byCdi && this.#isHeld(sandbox)) {
      const agents = guarded ? "" : ", while the agent was away";
      const what = `${name} of ${shown(sandbox)} started without ${which}${agents}`;
      this.record.violation("gate", what);
    } else if (guarded && this.#options.machine.overloaded) {
      this.record.excuse(`${name} of ${shown(sandbox)} was created without its networks`);
      sandbox.startedWithout = true;
    } else if (guarded) {
      this.record.violation("gate", `${name} of ${shown(sandbox)} was created without ${which}`);
    } else {
      this.record.note(`${name} of ${shown(sandbox)} started while the agent was away`);
      sandbox.startedWithout = true;
    }
  }

  /**
   * Whether containers that name their claims cannot start without networks, agent or no agent. They
   * can where the claims' files speak of another sandbox and no agent is there to take that back: of
   * another pod, or the pod's old one; and where a record of the attachment was damaged.
   */
  #isHeld({ pod }: Sandbox): boolean {
    return pod.sandboxes.length === 1 &&
      pod.claims.every(({ shared, ref }) => !shared && !this.damaged.has(ref.uid));
  }

  /** Containers of pods on the host's network are never let in. */
  async #expectRefusal(sandbox: Sandbox): Promise<void> {
    await this.runtime.up;
    const before = this.#guard(false);
    try {
      await this.runtime.createContainer(sandbox, "container-0", []);
    } catch (error) {
      this.record.operations++;
      this.record.checked("gate");
      if (
        /host's network|records of it are lost|went away|sandbox is gone/.test(errorMessage(error))
      ) return;
      throw error;
    }
    await pause(300);
    if (before === `${this.runtime.epoch} ${this.agent.epoch}`) {
      const what = `a container of ${shown(sandbox)} was created on the host's network`;
      this.record.violation("gate", what);
    }
  }

  #isExhausted(problem: string): boolean {
    return problem.includes("no IP addresses available") && problem.includes('"scarce"') &&
      [...this.sandboxes.values()].filter(({ pod, state }) =>
          state === "running" && wantedBy(pod).some(({ network }) => network === "scarce")
        ).length > SCARCE;
  }

  /** Counts when it succeeds; `repeats` tries again until then. */
  async #operation(
    what: string,
    task: () => Promise<void>,
    { repeats = false, while: goOn = () => true }: {
      readonly repeats?: boolean;
      readonly while?: () => boolean;
    } = {},
  ): Promise<void> {
    const began = performance.now();
    for (let problem = ""; goOn();) {
      this.record.calls++;
      try {
        await task();
        this.record.operations++;
        this.record.note(what);
        return;
      } catch (error) {
        if (!repeats) throw error;
        const said = errorMessage(error);
        if (said !== problem) this.record.note(`${what}: ${said}`);
        problem = said;
        if (performance.now() - began > STEP_LIMIT) {
          this.record.violation("progress", `cannot ${what}: ${problem}`);
          return;
        }
        await pause(RETRY);
      }
    }
  }

  #inTurn(pod: Pod, task: () => Promise<void>): Promise<void> {
    const result = pod.turn.then(task);
    pod.turn = result.catch(() => {});
    return result;
  }
}

/** All attachments are there: from now on none may go. */
export function noteAttached(
  sandbox: Sandbox,
  links: ReadonlyMap<string, { readonly mac: string }>,
): void {
  if (sandbox.attachedSince !== undefined) return;
  sandbox.attachedSince = uptime();
  sandbox.links = new Map(
    wantedBy(sandbox.pod).map((wanted) => [
      wanted.interface,
      links.get(wanted.interface)!.mac,
    ]),
  );
}

export function shown({ id, pod }: Sandbox): string {
  return `${pod.name}/${id.slice(0, 8)}`;
}

export async function mount(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args: [...args] }).output();
  if (!success) throw new Error(`mount ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

async function umount(path: string): Promise<void> {
  await new Deno.Command("umount", { args: [path] }).output();
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function within(ms: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the driver is not registered")), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function endlessly<T>(values: readonly T[]): () => T {
  let i = 0;
  return () => values[i++ % values.length]!;
}
