import { join } from "node:path";
import { linksOf, nodeLinks } from "./links.ts";
import { BRIDGE, LEASES, OTHER, SCARCE } from "./networks.ts";
import type { PluginCall } from "./plugins.ts";
import { type Pod, runningSandbox, type Sandbox, wantedBy } from "./pods.ts";
import type { Invariant } from "./record.ts";
import { DRIVER, noteAttached, OTHERS_ENTRY, shown, type World } from "./world.ts";

/** What is wrong must be right within this, in milliseconds: the status, and all else with it. */
const SETTLE_LIMIT = 10_000;
/** After a CHECK that failed, the next one may take as long: they rest between the attachments. */
const CHECKS_LIMIT = 60_000;
/** What an agent may have more of than when it was idle first: connections to the API server. */
const DESCRIPTORS_SLACK = 12;
/** Plugins that were just checking may still run, in milliseconds. */
const IDLE_LIMIT = 5_000;
const MEMORY_LIMIT_MB = 260;

export interface InvariantsOptions {
  /** The cluster's own network, which is none of the agent's. */
  readonly main?: MainNetwork;
  readonly settleLimit?: number;
}

export interface MainNetwork {
  readonly network: string;
  readonly bridge: string;
}

interface Problem {
  readonly invariant: Invariant;
  readonly what: string;
  /** Whether it is what a failed CHECK said, and is over with the next. */
  readonly lost?: boolean;
}

/** Looks at the node when it shall be quiet. */
export class Invariants {
  readonly #world: World;
  readonly #nodeLinks: ReadonlySet<string>;
  /** Of each agent process, by its number: its descriptors when nothing was there first. */
  readonly #idle = new Map<number, number>();

  readonly #main: MainNetwork | undefined;

  readonly #settleLimit: number;
  /** What was found in the sandboxes at this look. */
  readonly #links = new Map<Sandbox, ReturnType<typeof linksOf>>();

  private constructor(
    world: World,
    { links, main, settleLimit = SETTLE_LIMIT }: InvariantsOptions & {
      readonly links: readonly string[];
    },
  ) {
    this.#world = world;
    this.#nodeLinks = new Set(links);
    this.#main = main;
    this.#settleLimit = settleLimit;
  }

  /** Of a node on which nothing has been done yet. */
  static async of(world: World, options: InvariantsOptions = {}): Promise<Invariants> {
    return new Invariants(world, { ...options, links: [...(await nodeLinks()).keys()] });
  }

  /** Waits until all is as it must be; what is not by then is a violation. */
  async check(): Promise<void> {
    const { record } = this.#world;
    await this.#checkCalls();
    const began = performance.now();
    let problems: Problem[];
    for (;;) {
      problems = await this.#problems();
      const limit = problems.every(({ lost }) => lost) ? CHECKS_LIMIT : this.#settleLimit;
      if (problems.length === 0 || performance.now() - began > limit) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (
      const invariant of [
        "leftovers",
        "living",
        "status",
        "others",
        "progress",
        "addresses",
      ] as const
    ) {
      record.checked(invariant);
    }
    for (const { invariant, what } of problems) record.violation(invariant, what);
    for (const sandbox of this.#running()) {
      const links = await this.#linksOf(sandbox);
      const complete = wantedBy(sandbox.pod).every((wanted) => links.get(wanted.interface));
      if (complete && sandbox.netns) noteAttached(sandbox, links);
    }
    await this.#checkCalls();
    await this.#checkResources();
  }

  #linksOf(sandbox: Sandbox): ReturnType<typeof linksOf> {
    const found = this.#links.get(sandbox) ?? linksOf(sandbox);
    this.#links.set(sandbox, found);
    return found;
  }

  #running(): Sandbox[] {
    return [...this.#world.pods.values()].flatMap((pod) => runningSandbox(pod) ?? []);
  }

  async #problems(): Promise<Problem[]> {
    this.#links.clear();
    return (await Promise.all([
      this.#attachments(),
      this.#leases(),
      this.#nodesLinks(),
      this.#records(),
      this.#cdiFiles(),
      this.#statuses(),
      this.#addresses(),
      Promise.resolve(this.#slices()),
      this.#namespaces(),
    ])).flat();
  }

  /** Every running pod has its networks, and those that it has had from the beginning. */
  async #attachments(): Promise<Problem[]> {
    const problems: Problem[] = [];
    const scarce = await leasesOf("scarce");
    for (const sandbox of this.#running()) {
      if (!sandbox.netns) continue;
      const links = await this.#linksOf(sandbox);
      for (const wanted of wantedBy(sandbox.pod)) {
        const link = links.get(wanted.interface);
        const at = `${shown(sandbox)}: ${wanted.interface} (${wanted.network})`;
        if (!link?.address) {
          const excused = wanted.network === "scarce" && scarce.size >= SCARCE;
          if (!excused) problems.push({ invariant: "progress", what: `${at} is not attached` });
          continue;
        }
        const first = sandbox.links?.get(wanted.interface);
        if (first !== undefined && first !== link.mac) {
          const what = `${at} was ${first} and is ${link.mac}: it was made anew`;
          problems.push({ invariant: "living", what });
        }
      }
    }
    return problems;
  }

  async #leases(): Promise<Problem[]> {
    const living = new Set(
      this.#running().flatMap((sandbox) =>
        wantedBy(sandbox.pod).map((wanted) => `${wanted.network} ${sandbox.id} ${wanted.interface}`)
      ),
    );
    const problems: Problem[] = [];
    for (const network of await names(LEASES)) {
      if (network === this.#main?.network) continue;
      for (const [address, holder] of await leasesOf(network)) {
        if (living.has(`${network} ${holder}`)) continue;
        const what = `the lease ${address} of network ${network} is held by ${this.#who(holder)}`;
        problems.push({ invariant: "leftovers", what });
      }
    }
    return problems;
  }

  #who(holder: string): string {
    const [id = "", link] = holder.split(" ");
    const sandbox = this.#world.sandboxes.get(id);
    return `${link} of ${sandbox ? shown(sandbox) : id}, which is ${sandbox?.state ?? "unknown"}`;
  }

  async #nodesLinks(): Promise<Problem[]> {
    const links = await nodeLinks();
    const problems: Problem[] = [];
    const living = this.#running().filter(({ netns }) => netns);
    const expected =
      living.flatMap(({ pod }) => wantedBy(pod)).filter(({ network }) =>
        network === "bridge" || network === "ptp"
      ).length;
    const ends = [...links].filter(([name, { master }]) =>
      name.startsWith("veth") && master !== this.#main?.bridge
    ).map(([name]) => name);
    if (ends.length > expected) {
      const what =
        `the node has ${ends.length} ends of pods' links where ${expected} pods' live: ` +
        ends.join(", ");
      problems.push({ invariant: "leftovers", what });
    }
    for (const name of links.keys()) {
      const known = this.#nodeLinks.has(name) || name === BRIDGE || name === this.#main?.bridge;
      if (known || name.startsWith("veth")) continue;
      problems.push({ invariant: "leftovers", what: `the node has the interface ${name}` });
    }
    return problems;
  }

  async #records(): Promise<Problem[]> {
    const { paths, claims } = this.#world;
    const problems: Problem[] = [];
    const prepared = new Set(
      [...claims.values()].filter((claim) => claim.prepared).map(({ ref }) => ref.uid),
    );
    for (const name of await names(join(paths.state, "claims"))) {
      // A claim that was unprepared is remembered for some minutes.
      if (/\.(corrupt|departed)$/.test(name) || prepared.has(name.replace(/\.json$/, ""))) continue;
      problems.push({ invariant: "leftovers", what: `the claim's record ${name}` });
    }
    let expected = 0;
    for (const { pod, netns } of this.#running()) if (netns) expected += wantedBy(pod).length;
    const records = (await names(join(paths.state, "attachments"))).filter((name) =>
      !name.endsWith(".corrupt")
    );
    const strange = records.filter((name) => !prepared.has(name.split(".")[0]!));
    for (const name of strange) {
      problems.push({ invariant: "leftovers", what: `the attachment's record ${name}` });
    }
    if (strange.length === 0 && records.length > expected) {
      const what = `${records.length} records of attachments where ${expected} live`;
      problems.push({ invariant: "leftovers", what });
    }
    return problems;
  }

  async #cdiFiles(): Promise<Problem[]> {
    const problems: Problem[] = [];
    const files = new Set(await names(this.#world.runtime.cdiFolder));
    const known = new Set<string>();
    for (const claim of this.#world.claims.values()) {
      const name = `${DRIVER}_${claim.ref.uid}`;
      const [spec, attached] = [`${name}.json`, `${name}.attached`];
      const users = [...claim.users].flatMap((pod) => runningSandbox(pod) ?? []);
      if (users.length === 0) {
        // The runtime may be starting a sandbox that it left out when the agent connected; the
        // containers of it would be created, and wait.
        if (claim.users.size > 0) known.add(spec);
        continue;
      }
      const metadata = `${name}.metadata`;
      known.add(spec).add(attached).add(metadata);
      const own = users.filter(({ netns }) => netns);
      if (own.length > 0 && !files.has(spec)) {
        const what = `the CDI file ${spec} of a running sandbox is missing`;
        problems.push({ invariant: "progress", what });
      }
      const ready = await Promise.all(own.map(async (sandbox) => {
        const links = await this.#linksOf(sandbox);
        return claim.wanted.every((wanted) => links.get(wanted.interface)?.address);
      }));
      if (files.has(attached) && !ready.includes(true)) {
        const what = `there is ${attached}, but none of its pods is attached`;
        problems.push({ invariant: "gate", what });
      }
      if (!files.has(attached) && ready.includes(true)) {
        const what = `${attached} of an attached pod is missing`;
        problems.push({ invariant: "progress", what });
      }
      // It is mounted too, and no container would start without it.
      if (files.has(attached) && !files.has(metadata)) {
        const what = `there is ${attached}, but no ${metadata}`;
        problems.push({ invariant: "progress", what });
      }
    }
    for (const name of [...files].filter((name) => !known.has(name))) {
      problems.push({ invariant: "leftovers", what: `${name}, which no sandbox uses` });
    }
    return problems;
  }

  async #statuses(): Promise<Problem[]> {
    const problems: Problem[] = [];
    for (const claim of this.#world.claims.values()) {
      const stored = this.#world.api.get("default", claim.ref.name);
      if (!stored) continue;
      const entries = stored.status?.devices ?? [];
      const foreign = entries.find(({ driver }) => driver === OTHER.driver);
      const expected = claim.plan.withOther && claim.users.size > 0 ? OTHERS_ENTRY : undefined;
      if (JSON.stringify(foreign) !== JSON.stringify(expected)) {
        const what = `${claim.ref.name}: the other driver's entry is ${JSON.stringify(foreign)}`;
        problems.push({ invariant: "others", what });
      }
      const pods = [...claim.users].filter((pod) => runningSandbox(pod));
      for (const wanted of claim.wanted) {
        const entry = entries.find(({ driver, device }) =>
          driver === DRIVER && device === wanted.device
        );
        const at = `${claim.ref.name}: ${wanted.device}`;
        const truth = await this.#truthOf(wanted.interface, pods);
        const said = saidIn(entry);
        if (truth.every((each) => each !== said)) {
          const what = `${at}: the status says ${said}; the truth is ${truth.join(" or ")}`;
          const [condition] = (entry?.conditions ?? []) as { readonly reason?: string }[];
          const lost = condition?.reason === "NetworkInterfaceLost";
          problems.push({ invariant: "status", what, lost });
        }
      }
    }
    return problems;
  }

  /** What `saidIn` may give for an interface that these pods' sandboxes have. */
  async #truthOf(name: string, pods: readonly Pod[]): Promise<string[]> {
    if (pods.length === 0) return ["nothing"];
    const links = await Promise.all(pods.map(async (pod) => {
      const link = (await this.#linksOf(runningSandbox(pod)!)).get(name);
      return link?.address ? `attached as ${name} ${link.mac} ${link.address}` : "not ready";
    }));
    return links.includes("not ready") ? ["not ready"] : links;
  }

  async #addresses(): Promise<Problem[]> {
    const found = await Array.fromAsync(this.#world.addresses.problems());
    return found.map((what) => ({ invariant: "addresses", what }));
  }

  #slices(): Problem[] {
    const devices = this.#world.api.slices.devices().map(({ name }) => name);
    if (devices.includes("cni") && devices.includes("eth0")) return [];
    return [{ invariant: "progress", what: `the published devices are ${devices.join(", ")}` }];
  }

  /** No namespace is held while nothing is being detached. */
  async #namespaces(): Promise<Problem[]> {
    const { agent } = this.#world;
    if (!agent.running) return [];
    const held = (await descriptors(agent.pid)).filter((target) => target.startsWith("net:"));
    return held.map((target) => ({
      invariant: "leftovers",
      what: `the agent holds the network namespace ${target}`,
    }));
  }

  /** What the plugins were asked, in time: nothing living was deleted, nothing ran side by side. */
  async #checkCalls(): Promise<void> {
    const { record, plugins } = this.#world;
    for (const call of await plugins.calls()) {
      record.checked("serial");
      const { command, beside, container } = call;
      const sandbox = this.#world.sandboxes.get(container);
      const at = `${command} of ${call.interface} in ${sandbox ? shown(sandbox) : container} ` +
        `(${call.program})`;
      // What was killed may take a moment to go; the agent has waited for its first process. A CHECK
      // is killed when there is something else to do.
      if (beside && !/^CHECK|(hangs|killed)$/.test(beside)) {
        record.violation("serial", `${at} began while ${beside} ran`);
      }
      if (command === "DEL" && sandbox && livedAt(sandbox, call)) {
        record.violation("living", `${at} at uptime ${call.at}, while its pod lives`);
      }
    }
  }

  /** At a time when there are no pods. */
  async #checkResources(): Promise<void> {
    const { agent, api, record, pods } = this.#world;
    if (pods.size > 0 || !agent.running) return;
    record.checked("resources");
    let open = await descriptors(agent.pid);
    // The leader of the cluster's duties, and whoever takes addresses, watch more: a connection each.
    const beyond = () => open.length - api.slices.watches - api.objects.watches;
    const first = this.#idle.get(agent.starts) ?? beyond();
    this.#idle.set(agent.starts, Math.min(first, beyond()));
    const most = first + DESCRIPTORS_SLACK;
    for (const began = performance.now(); beyond() > most;) {
      if (performance.now() - began > IDLE_LIMIT) {
        const what = `${beyond()} descriptors beside those of watches, ${first} when idle first: ` +
          open.join(" ");
        record.violation("resources", what);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      open = await descriptors(agent.pid);
    }
    const status = await Deno.readTextFile(`/proc/${agent.pid}/status`);
    const resident = Number(status.match(/VmRSS:\s+(\d+)/)![1]) / 1024;
    if (resident > MEMORY_LIMIT_MB) {
      record.violation("resources", `${resident.toFixed(0)} MB of resident memory`);
    }
  }
}

function saidIn(entry: Record<string, unknown> | undefined): string {
  if (!entry) return "nothing";
  const [condition] = entry.conditions as { readonly status: string }[];
  if (condition?.status !== "True") return "not ready";
  const { interfaceName, hardwareAddress, ips = [] } = (entry.networkData ?? {}) as {
    readonly interfaceName?: string;
    readonly hardwareAddress?: string;
    readonly ips?: readonly string[];
  };
  return `attached as ${interfaceName} ${hardwareAddress} ${ips.join(",")}`;
}

/** Whether all its attachments were there by then and its end had not begun; uptime has two digits. */
function livedAt({ attachedSince, endsSince }: Sandbox, { at }: PluginCall): boolean {
  if (attachedSince === undefined || at <= attachedSince + 0.02) return false;
  return endsSince === undefined || at < endsSince - 0.02;
}

/** Who holds the addresses of a network: sandbox and interface. */
async function leasesOf(network: string): Promise<ReadonlyMap<string, string>> {
  const leases = new Map<string, string>();
  for (const name of await names(join(LEASES, network))) {
    if (!/^[0-9.]+$/.test(name)) continue;
    const text = await Deno.readTextFile(join(LEASES, network, name)).catch(() => undefined);
    if (text !== undefined) leases.set(name, text.trim().split(/\s+/).join(" "));
  }
  return leases;
}

async function descriptors(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const targets = await Promise.all(
    (await names(folder)).map((name) => Deno.readLink(join(folder, name)).catch(() => "")),
  );
  return targets.filter((target) => target !== "");
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}
