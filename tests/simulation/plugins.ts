import type {
  AttachResult,
  CniResult,
  Finding,
  RuntimeConfig,
  ValidAttachment,
} from "../../mod/agent/model.ts";
import type { Cni } from "../../mod/agent/ports.ts";
import type { NetworkList } from "../../mod/claim/network_list.ts";
import { abortable, type AgentProcess } from "./agent_process.ts";
import type { Link, NetNamespace } from "./network.ts";
import { nameOf } from "./networks.ts";

/** A plugin that does not end is killed after this, in milliseconds. */
const TIMEOUT = 30_000;
/** At which step an operation fails, if it does. */
const STEPS = ["before", "middle", "after"] as const;
type Step = typeof STEPS[number] | undefined;

/**
 * CNI plugins as real ones behave: an ADD that fails leaves what it made so far; one whose interface's
 * name is taken fails; DEL with a namespace removes whatever has the interface's name.
 */
export class SimulatedCni implements Cni {
  readonly #agent: AgentProcess;

  constructor(agent: AgentProcess) {
    this.#agent = agent;
  }

  verify(network: NetworkList, signal: AbortSignal): Promise<void> {
    const { faults } = this.#agent.node;
    const work = this.#agent.process.later(`VERSION ${network.name}`, async () => {
      await this.#pause("VERSION", 1, 30);
      if (faults.has("pluginMissing")) throw new Error(`no plugin ${network.plugins[0]!.type}`);
      if (faults.has("pluginFails") && this.#hits("VERSION fails", 0.3)) throw new Error("exit 1");
    });
    return abortable(work, signal);
  }

  add(network: NetworkList, runtime: RuntimeConfig): Promise<AttachResult> {
    return this.#run("ADD", network, runtime, async (fail) => {
      await fail("before");
      const { node } = this.#agent;
      const namespace = node.namespaceAt(runtime.netns);
      if (!namespace) throw new Error(`failed to open netns "${runtime.netns}"`);
      const link = this.#makeLink(namespace, network, runtime);
      await this.#pause("ADD", 1, 10);
      await fail("middle");
      const address = node.network.lease(nameOf(network, runtime));
      await fail("after");
      const result = {
        cniVersion: "1.0.0",
        interfaces: [{ name: runtime.ifName, mac: link.mac, sandbox: runtime.netns }],
        ips: [{ address, interface: 0 }],
      };
      const networkData = {
        interfaceName: runtime.ifName,
        hardwareAddress: link.mac,
        ips: [address],
      };
      return { result, networkData };
    });
  }

  del(network: NetworkList, runtime: RuntimeConfig): Promise<void> {
    return this.#run("DEL", network, runtime, async (fail) => {
      await fail("before");
      const { node } = this.#agent;
      const name = nameOf(network, runtime);
      const namespace = node.namespaceAt(runtime.netns);
      const moves = network.plugins[0]!.type === "host-device";
      if (moves && runtime.netns && !namespace) {
        throw new Error(`failed to open netns "${runtime.netns}"`);
      }
      if (node.network.leases.delete(name)) node.assertMayGo(runtime, "the lease");
      await fail("middle");
      const link = namespace?.links.get(runtime.ifName);
      if (namespace && link) {
        if (link.owner !== name) {
          const what = `DEL of ${name} takes the interface of ${link.owner}`;
          this.#agent.world.trace.violation("foreign", what);
        } else node.assertMayGo(runtime, "the interface");
        node.network.removeLink(namespace, runtime.ifName);
      }
      await fail("after");
    });
  }

  check(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<Finding> {
    const work = this.#run<Finding>("CHECK", network, runtime, async () => {
      if (network.cniVersion === "0.3.1") return { state: "uncheckable" };
      const { node, world } = this.#agent;
      if (node.faults.has("pluginFails") && this.#hits("CHECK fails", 0.3)) {
        return { state: "unknown", cause: "exit 11" };
      }
      const name = nameOf(network, runtime);
      const link = node.namespaceAt(runtime.netns)?.links.get(runtime.ifName);
      const [{ mac } = {}] = (prevResult.interfaces ?? []) as { readonly mac?: string }[];
      if (link?.owner !== name || mac !== link.mac) {
        return { state: "lost", cause: `${runtime.ifName} is not as it was` };
      }
      if (network.plugins.some(({ type }) => type === "vrf")) {
        return { state: "lost", cause: "vrf: it never is as CHECK wants it" };
      }
      await Promise.resolve();
      const lies = node.faults.has("checkLies") && world.chance.hits(`${name} CHECK lies`, 0.6);
      node.looked(runtime, lies);
      return lies ? { state: "lost", cause: "a plugin errs" } : { state: "intact" };
    }, signal);
    const ended = abortable(work, signal);
    return ended.catch((error) => ({ state: "unknown", cause: String(error) }));
  }

  async gc(
    network: NetworkList,
    { valid, signal }: { readonly valid: readonly ValidAttachment[]; readonly signal: AbortSignal },
  ): Promise<boolean> {
    if (network.cniVersion !== "1.1.0") return false;
    const kept = new Set(valid.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
    const { node, process } = this.#agent;
    const work = process.later(`GC ${network.name}`, async () => {
      await this.#pause("GC", 5, 100);
      if (process.dead) return;
      for (const lease of [...node.network.leases.keys()]) {
        const [name, containerID = "", ifName = ""] = lease.split("/");
        if (name !== network.name || kept.has(`${containerID}/${ifName}`)) continue;
        node.network.leases.delete(lease);
        node.assertMayGo({ containerID, ifName }, "the lease (by GC)");
      }
    });
    await abortable(work, signal);
    return true;
  }

  missingPlugins({ plugins }: NetworkList): string[] {
    return this.#agent.node.faults.has("pluginMissing") ? [plugins[0]!.type] : [];
  }

  #makeLink(
    namespace: NetNamespace,
    network: NetworkList,
    { ifName, ...more }: RuntimeConfig,
  ): Link {
    const { node, world } = this.#agent;
    const [plugin] = network.plugins;
    const owner = nameOf(network, { ifName, ...more });
    const present = namespace.links.get(ifName);
    if (present && plugin!.type !== "tap") throw new Error(`interface ${ifName} already exists`);
    if (present && present.owner !== owner) {
      world.trace.violation("foreign", `ADD of ${owner} changes the interface of ${present.owner}`);
      return present;
    }
    const device = plugin!.type === "host-device" ? String(plugin!.device) : undefined;
    if (device && !node.network.devices.has(device)) throw new Error(`Link ${device} not found`);
    return node.network.addLink(namespace, { name: ifName, owner, ...(device && { device }) });
  }

  /** One operation of a container; a plugin ends with the process that runs it. */
  #run<T>(
    command: "ADD" | "DEL" | "CHECK",
    network: NetworkList,
    runtime: RuntimeConfig,
    work: (fail: (step: Step) => Promise<void>) => Promise<T>,
    /** The plugin is killed when it is aborted. */
    signal?: AbortSignal,
  ): Promise<T> {
    const { node, process, world } = this.#agent;
    const { faults } = node;
    const what = `${command} ${nameOf(network, runtime)}`;
    return process.later(what, async () => {
      const end = node.beginOperation(process, runtime.containerID, what);
      signal?.addEventListener("abort", end, { once: true });
      try {
        world.trace.note(`${process.name} ${what}`);
        const slow = faults.has("pluginSlow") && this.#hits("slow", 0.5);
        await this.#pause(command, 2, slow ? 4_000 : 40);
        if (process.dead) return await NEVER;
        if (faults.has("pluginMissing")) throw new Error(`no plugin ${network.plugins[0]!.type}`);
        const fails = faults.has("pluginFails") && this.#hits(`${command} fails`, 0.4);
        const hangs = faults.has("pluginHangs") && this.#hits(`${command} hangs`, 0.3);
        const at = fails || hangs ? STEPS[world.chance.between("step", 0, 2)] : undefined;
        return await work(async (step) => {
          if (process.dead) await NEVER;
          if (step !== at) return;
          if (hangs) await world.scheduler.sleep(TIMEOUT);
          if (process.dead) await NEVER;
          throw new Error(`${what} ${hangs ? "timed out" : "failed"} (${step})`);
        });
      } finally {
        end();
      }
    });
  }

  #pause(what: string, least: number, most: number): Promise<void> {
    return this.#agent.world.pause(`${this.#agent.node.name} ${what}`, least, most);
  }

  #hits(what: string, probability: number): boolean {
    return this.#agent.world.chance.hits(`${this.#agent.node.name} ${what}`, probability);
  }
}

const NEVER = new Promise<never>(() => {});
