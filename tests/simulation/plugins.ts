import { basename } from "node:path";
import type { ProgramOptions, ProgramOutcome, RunProgram } from "../../mod/cni/program.ts";
import { ADDRESSED } from "./networks.ts";
import type { AgentProcess } from "./agent_process.ts";
import type { FailedStep } from "./attachment_faults.ts";
import { attachmentName, type Lease, type Link, type NetNamespace } from "./network.ts";

/** What plugins get in addition to CNI's parameters of the operation. */
export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The programs that there are. */
export const PROGRAMS = [
  "macvlan",
  "bridge",
  "tap",
  "host-device",
  "tuning",
  "vrf",
  "broken",
  "clinging",
  "host-local",
  "static",
  "dhcp",
];

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** At which step an operation fails, if it does. */
const STEPS = ["before", "middle", "after"] as const satisfies FailedStep[];
type Step = typeof STEPS[number];

/** The plugins that make the interface. */
const MAKERS = ["macvlan", "bridge", "tap", "host-device", "clinging"];

/** Error codes of plugins: one that says what CHECK found, and one that says that it could not look. */
const FAULT = 110;
const LATER = 11;

/** What a plugin reads. */
interface Config {
  readonly type: string;
  readonly name: string;
  readonly cniVersion: string;
  /** Mapped: its addresses are IPv6 ones that end as IPv4 ones are written. */
  readonly ipam?: {
    readonly type: string;
    readonly mapped?: boolean;
    readonly addresses?: readonly { readonly address: string }[];
  };
  /** The node's interface that is moved. */
  readonly device?: string;
  /** How many "<" its result holds, each of which JSON of Go writes as six bytes. */
  readonly verbose?: number;
  readonly prevResult?: { readonly interfaces?: readonly { readonly mac?: string }[] };
  readonly "cni.dev/valid-attachments"?: readonly {
    readonly containerID: string;
    readonly ifname: string;
  }[];
}

interface Call {
  readonly type: string;
  readonly command: string;
  readonly containerID: string;
  readonly netns: string;
  readonly ifName: string;
  readonly config: Config;
  /** As plugins know the attachment. */
  readonly attachment: string;
  /** Fails there, where it shall. */
  readonly step: (step: Step) => Promise<void>;
  /** Whether CHECK says that it is not as it was, though it is. */
  readonly lies: boolean;
}

type Started = Omit<Call, "step" | "lies">;

/** What a plugin says when it fails. No Error: to take a stack costs more than most of what it does. */
class PluginError {
  readonly message: string;
  readonly code: number;

  constructor(message: string, code = 999) {
    this.message = message;
    this.code = code;
  }
}

/** Says that another interface has the name: what is there is not this plugin's. */
class NameTaken extends PluginError {}

/** Thrown in a program that is killed. */
class Killed {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/**
 * CNI plugins as real ones behave: an ADD that fails leaves what it made so far; one whose interface's
 * name is taken fails; DEL with a namespace removes whatever has the interface's name; a plugin ends
 * with the process that runs it.
 */
export class PluginPrograms {
  readonly #agent: AgentProcess;

  constructor(agent: AgentProcess) {
    this.#agent = agent;
  }

  readonly run: RunProgram = (path, options) => {
    const { process } = this.#agent;
    const call = this.#callOf(basename(path), options);
    const what = `${call.command} ${call.type} ${call.attachment}`;
    return process.later(what, async () => await this.#runToEnd(what, call, options));
  };

  #callOf(type: string, { env, stdin }: ProgramOptions): Started {
    const { CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME } = env;
    const [command = "", containerID = "", netns = "", ifName = ""] = [
      CNI_COMMAND,
      CNI_CONTAINERID,
      CNI_NETNS,
      CNI_IFNAME,
    ];
    const config = JSON.parse(DECODER.decode(stdin)) as Config;
    const attachment = attachmentName(config.name, containerID, ifName);
    return { type, command, containerID, netns, ifName, config, attachment };
  }

  async #runToEnd(
    what: string,
    call: Started,
    { signal, timeout, env }: ProgramOptions,
  ): Promise<ProgramOutcome> {
    const { node, process, world } = this.#agent;
    this.#assertSurroundings(what, env);
    const isOfContainer = ["ADD", "DEL", "CHECK"].includes(call.command);
    const end = isOfContainer ? node.beginOperation(process, call.containerID, what) : () => {};
    const killing = Promise.withResolvers<never>();
    // Whoever kills it has its end.
    const kill = () => {
      end();
      killing.reject(new Killed("it was cut off"));
    };
    if (signal.aborted) kill();
    else signal.addEventListener("abort", kill, { once: true });
    if (isOfContainer) world.trace.note(`${process.name} ${what}`);
    try {
      if (call.command === "ADD") node.addBegins(call.attachment);
      if (call.command === "DEL") node.delBegins(call.attachment);
      const answer = await Promise.race([
        this.#work(what, call, { signal, timeout }),
        killing.promise,
      ]);
      return outcome(0, answer === undefined ? "" : JSON.stringify(answer));
    } catch (error) {
      if (call.command === "ADD" && !process.dead && !(error instanceof NameTaken)) {
        node.addUnanswered(call.attachment);
      }
      if (error instanceof Killed) return { ...outcome(1, ""), killed: error.message };
      if (!(error instanceof PluginError)) throw error;
      const said = JSON.stringify({ code: error.code, msg: error.message });
      return outcome(1, said);
    } finally {
      signal.removeEventListener("abort", kill);
      end();
      if (!process.dead) node.addEnds(call.attachment);
    }
  }

  /** A confined agent that was taken over must not have them run others' programs. */
  #assertSurroundings(what: string, env: Readonly<Record<string, string>>): void {
    const { process, world, cniPath } = this.#agent;
    if (env.PATH === PATH && env.CNI_PATH === cniPath) return;
    world.trace.violation("foreign", `${process.name}: ${what} gets PATH or CNI_PATH of another`);
  }

  async #work(
    what: string,
    call: Started,
    { signal, timeout }: Pick<ProgramOptions, "signal" | "timeout">,
  ): Promise<unknown> {
    const { node, process, world } = this.#agent;
    const { faults } = node;
    const { command } = call;
    if (this.#agent.isSlow) await this.#pause(`${command} of an agent that is slow`, 500, 6_000);
    const slow = faults.has("pluginSlow") && this.#hits("slow", 0.5);
    // Some end in the moment in which the agent takes them for such as wait.
    if (this.#hits("just in time", 0.05)) await world.scheduler.sleepAndRace(100);
    else await this.#pause(command, 1, slow ? 4_000 : 30);
    const fails = faults.has("pluginFails") && this.#hits(`${command} fails`, 0.4);
    const hangs = faults.has("pluginHangs") && this.#hits(`${command} hangs`, 0.3);
    // A name that is taken is another's; an interface of the node moves and is not made.
    const isMaker = MAKERS.includes(call.type) && call.type !== "host-device";
    const chosen = isMaker ? node.attachmentFaults.next(call) : undefined;
    const drawn = fails || hangs ? STEPS[world.chance.between("step", 0, 2)] : undefined;
    const at = chosen?.step ?? drawn;
    const assertLives = () => {
      if (process.dead) throw new Killed("its agent is dead");
      if (signal.aborted) throw new Killed("it was cut off");
    };
    const step = async (step: Step) => {
      assertLives();
      if (step !== at) return;
      if (hangs && !chosen) {
        node.pluginHangs();
        await world.scheduler.sleep(timeout);
      }
      assertLives();
      chosen?.then?.(call.attachment);
      if (hangs && !chosen) throw new Killed(`it did not end within ${timeout} ms`);
      throw new PluginError(`${what} failed (${step})`, LATER);
    };
    const full = { ...call, step, lies: chosen?.step === "lie" };
    switch (command) {
      case "ADD":
        return await this.#add(full);
      case "DEL":
        return await this.#del(full);
      case "CHECK":
        return await this.#check(full);
      case "GC":
        return await this.#gc(full);
      case "VERSION":
        return { cniVersion: "1.1.0", supportedVersions: ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] };
      default:
        return await step("before");
    }
  }

  async #add({ type, netns, ifName, config, attachment, step }: Call): Promise<unknown> {
    await step("before");
    const { node } = this.#agent;
    if (type === "tuning" || type === "vrf") return config.prevResult;
    if (type === "broken") throw new PluginError("its configuration is nonsense");
    const namespace = node.namespaceAt(netns);
    if (!namespace) throw new PluginError(`failed to open netns "${netns}"`);
    const link = this.#makeLink(namespace, { type, ifName, config, owner: attachment });
    await this.#pause("ADD link", 0, 8);
    await step("middle");
    const lease = config.ipam && this.#lease(attachment, config);
    await step("after");
    this.#agent.atAdd?.(link);
    this.#agent.atAdd = undefined;
    return result({ type, ifName, netns, config, link, lease });
  }

  #lease(attachment: string, { ipam, name }: Config): Lease {
    const { node, world } = this.#agent;
    if (ipam?.type !== "static") return node.network.lease(attachment, ipam?.mapped ?? false);
    const addresses = (ipam.addresses ?? []).map(({ address }) => address);
    if (addresses.length === 0) {
      world.trace.violation("addresses", `${attachment} gets no address`);
    }
    for (const address of addresses) {
      world.api.addresses.assertAlone(name, address.split("/")[0]!, attachment);
    }
    return node.network.staticLease(attachment, addresses);
  }

  async #del({ type, containerID, netns, ifName, config, attachment, step }: Call): Promise<void> {
    await step("before");
    const { node, world } = this.#agent;
    if (type === "broken") throw new PluginError("its configuration is nonsense");
    const sandbox = node.runtime.sandboxes.get(containerID);
    if (type === "clinging" && !world.isEmptying && (!sandbox || sandbox.ending)) {
      throw new PluginError("its interface is busy", LATER);
    }
    const namespace = node.namespaceAt(netns);
    const makesLinks = MAKERS.includes(type);
    if (type === "host-device") {
      if (netns === "") return;
      if (!namespace) throw new PluginError(`failed to open netns "${netns}"`);
    }
    const frees = makesLinks
      ? config.ipam !== undefined
      : ["host-local", "dhcp", "static"].includes(type);
    const lease = node.network.leases.get(attachment);
    if (lease && config.name === ADDRESSED && !node.orphaned.has(attachment)) {
      world.api.addresses.assertHeld(attachment, lease);
    }
    if (frees && node.network.leases.delete(attachment)) {
      node.assertMayGo(attachment, "the lease");
    }
    await step("middle");
    const link = namespace?.links.get(ifName);
    if (makesLinks && namespace && link) {
      if (type === "host-device" && !link.device) {
        throw new PluginError(`failed to find "${ifName}" in containerNS: Link not found`);
      }
      if (link.owner === attachment) node.assertMayGo(attachment, "the interface");
      else if (link.since <= namespace.lookedAt && !node.isUntold(attachment, link)) {
        const what = `DEL of ${attachment} takes the interface of ${link.owner}`;
        world.trace.violation("foreign", what);
      }
      node.network.removeLink(namespace, ifName);
    }
    await step("after");
  }

  async #check(
    { type, netns, ifName, config, attachment, step, lies: isChosen }: Call,
  ): Promise<void> {
    await step("middle");
    const { node, world } = this.#agent;
    if (type === "vrf") throw new PluginError("it never is as CHECK wants it", FAULT);
    if (type === "tuning") return;
    const link = node.namespaceAt(netns)?.links.get(ifName);
    const macs = (config.prevResult?.interfaces ?? []).map(({ mac }) => mac);
    if (link?.owner !== attachment || !macs.includes(link.mac)) {
      throw new PluginError(`${ifName} is not as it was`, FAULT);
    }
    const lies = isChosen ||
      node.faults.has("checkLies") && world.chance.hits(`${attachment} CHECK lies`, 0.6);
    node.looked(attachment, lies);
    if (lies) throw new PluginError("it errs", FAULT);
  }

  async #gc({ config, type, step }: Call): Promise<void> {
    await step("before");
    if (!config.ipam || type === "tuning") return;
    const { node } = this.#agent;
    const valid = new Set(
      (config["cni.dev/valid-attachments"] ?? []).map(({ containerID, ifname }) =>
        attachmentName(config.name, containerID, ifname)
      ),
    );
    for (const lease of [...node.network.leases.keys()]) {
      if (lease.split("/")[0] !== config.name || valid.has(lease)) continue;
      node.network.leases.delete(lease);
      node.assertMayGo(lease, "the lease (by GC)");
    }
  }

  #makeLink(
    namespace: NetNamespace,
    { type, ifName, config, owner }: {
      readonly type: string;
      readonly ifName: string;
      readonly config: Config;
      readonly owner: string;
    },
  ): Link {
    const { node, world } = this.#agent;
    namespace.lookedAt ||= world.scheduler.now;
    const present = namespace.links.get(ifName);
    if (present && type !== "tap") throw new NameTaken(`interface ${ifName} already exists`);
    if (present) {
      if (present.owner !== owner && present.since <= namespace.lookedAt) {
        const what = `ADD of ${owner} changes the interface of ${present.owner}`;
        world.trace.violation("foreign", what);
      } else if (present.owner !== owner) node.takesOver(owner, present);
      return present;
    }
    const device = type === "host-device" ? config.device : undefined;
    if (device && !node.network.devices.has(device)) {
      throw new PluginError(`Link ${device} not found`);
    }
    return node.network.addLink(namespace, { name: ifName, owner, ...(device && { device }) });
  }

  #pause(what: string, least: number, most: number): Promise<void> {
    return this.#agent.world.pause(`${this.#agent.node.name} ${what}`, least, most);
  }

  #hits(what: string, probability: number): boolean {
    return this.#agent.world.chance.hits(`${this.#agent.node.name} ${what}`, probability);
  }
}

function result(
  { type, ifName, netns, config, link, lease }: {
    readonly type: string;
    readonly ifName: string;
    readonly netns: string;
    readonly config: Config;
    readonly link: Link;
    readonly lease: Lease | undefined;
  },
) {
  const { cniVersion, verbose } = config;
  const own = { name: ifName, mac: link.mac, sandbox: netns };
  const interfaces = type === "bridge"
    ? [{ name: "br0", mac: "02:ff:00:00:00:01" }, { name: "veth0", mac: "02:ff:00:00:00:02" }, own]
    : [own];
  const version = (address: string) => address.includes(":") ? "6" : "4";
  return {
    cniVersion,
    interfaces,
    ...(lease && {
      ips: lease.printed.map((address) => ({
        ...(cniVersion === "0.3.1" && { version: version(address) }),
        address,
        interface: interfaces.length - 1,
      })),
    }),
    ...(verbose && { dns: { search: ["<".repeat(verbose)] } }),
  };
}

function outcome(code: number, stdout: string): ProgramOutcome {
  return { code, stdout: ENCODER.encode(stdout), stderr: "" };
}
