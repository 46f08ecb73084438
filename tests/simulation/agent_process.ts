import { Agent } from "../../mod/agent/agent.ts";
import { ActiveAgent } from "../../mod/agent/handover/active_agent.ts";
import { LeaderElection } from "../../mod/agent/handover/leader_election.ts";
import type { Sandbox } from "../../mod/agent/model.ts";
import type { Devices, Log, Metrics, Namespaces } from "../../mod/agent/ports.ts";
import { aborted } from "../../mod/async/aborted.ts";
import type { Clock } from "../../mod/async/clock.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import type { RunProgram } from "../../mod/cni/program.ts";
import { CdiSpecFiles } from "../../mod/cdi/spec_files.ts";
import { PluginFolders } from "../../mod/cni/plugin_folders.ts";
import { pluginRunner } from "../../mod/cni/plugin_runner.ts";
import { Plugins } from "../../mod/cni/plugins.ts";
import { CniRunner } from "../../mod/cni/runner.ts";
import { FileJournal } from "../../mod/journal/journal.ts";
import { KubeCluster } from "../../mod/kube/cluster.ts";
import { LeadLocks } from "../../mod/lead/lead_locks.ts";
import { DRIVER } from "./api_server.ts";
import { folderOf } from "./deno_files.ts";
import { DEVICES } from "./networks.ts";
import type { SimulatedNode } from "./node.ts";
import { PluginPrograms } from "./plugins.ts";
import { SimulatedProcess } from "./process.ts";
import type { World } from "./world.ts";

/** What a process of the agent is given at its start. */
export interface AgentOptions {
  readonly concurrency: number;
  readonly repair: boolean;
  readonly gcNetworks: readonly string[];
}

/** How often CHECK looks, in milliseconds. */
const CHECK_INTERVAL = 10_000;
/** A plugin that does not end is killed after this, in milliseconds. */
const CNI_TIMEOUT = 30_000;

/**
 * One process of the agent: what mod/cmd makes of it, without sockets. Its end is that of its
 * process: by itself, when it is told to, or at any moment.
 */
export class AgentProcess {
  readonly world: World;
  readonly node: SimulatedNode;
  readonly process: SimulatedProcess;
  readonly activeAgent: ActiveAgent;
  readonly #ports: ConstructorParameters<typeof Agent>[0];
  readonly #options: AgentOptions;
  readonly #stop = new AbortController();
  readonly #stateFolder: string;
  /** The folder of the plugins, as this process sees it. */
  readonly cniPath: string;
  /** What the warden does for the confined agent. */
  readonly runPlugin: RunProgram;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Whether it has the lead by its own account. */
  leads = false;
  /** Called once, when an ADD has succeeded. */
  atAdd: (() => void) | undefined;
  /** Whether it has come that far. */
  hasLed = false;

  constructor(world: World, node: SimulatedNode, name: string, options: AgentOptions) {
    this.world = world;
    this.node = node;
    this.#options = options;
    this.process = new SimulatedProcess(world, name);
    this.#stateFolder = folderOf(name, "state");
    this.cniPath = folderOf(name, "plugins");
    this.runPlugin = pluginRunner({
      cniPath: [this.cniPath],
      netnsDir: "/run/netns",
      run: new PluginPrograms(this).run,
    });
    this.#clock = this.#makeClock();
    this.#log = this.#makeLog();
    this.#ports = {
      cni: new CniRunner(
        new Plugins({
          folders: new PluginFolders({ cniPath: [this.cniPath] }),
          timeout: CNI_TIMEOUT,
          run: this.runPlugin,
        }),
      ),
      cluster: new KubeCluster(world.api.connectionOf(this), {
        driver: DRIVER,
        nodeName: node.name,
      }),
      journal: new FileJournal(this.#stateFolder, { log: this.#log }),
      namespaces: this.#makeNamespaces(),
      cdi: new CdiSpecFiles(folderOf(name, "cdi"), { driver: DRIVER }),
      devices: deviceTable,
      networks: {
        read: () =>
          Promise.resolve({
            names: [],
            networkOf: (network) => {
              throw new Error(`there is no network ${network}`);
            },
          }),
      },
      node: {
        view: () => ({
          offers: () => true,
          taken: () => false,
          needs: () => undefined,
          addresses: [],
        }),
      },
      clock: this.#clock,
      log: this.#log,
      metrics: NO_METRICS,
      events: {
        warn: ({ reason, about, message }) =>
          world.trace.note(`${name} event ${reason} ${about.kind}/${about.name}: ${message}`),
      },
    };
    this.activeAgent = new ActiveAgent(this.#ports);
  }

  /** Resolves at its end; never when it dies. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    const ended = aborted(signal);
    const leadEnd = new AbortController();
    const nriEnd = new AbortController();
    const synchronized = Promise.withResolvers<void>();
    let isReady = false;
    const leadership = new LeaderElection({
      lock: new LeadLocks(this.#stateFolder),
      clock: this.#clock,
      log: this.#log,
    }).run((over) => this.#lead(over), { ready: () => isReady, signal: leadEnd.signal });
    const nri = this.#connect(synchronized.resolve, nriEnd.signal);
    try {
      await Promise.race([synchronized.promise, ended, leadership, nri]);
      if (!signal.aborted) {
        await Promise.race([this.node.kubelet.register(this), ended, leadership]);
        isReady = true;
      }
      await Promise.race([leadership, ended, nri]);
    } finally {
      this.activeAgent.close();
      await this.node.kubelet.forget(this);
      leadEnd.abort(new Error("the agent stops"));
      await Promise.allSettled([leadership]);
      nriEnd.abort(new Error("the agent stops"));
      await nri;
    }
  }

  /** What someone asks the warden for who has taken over the confined agent. */
  askForForeignProgram(): void {
    const asked = this.runPlugin(`${this.cniPath}/macvlan`, {
      env: { CNI_COMMAND: "VERSION", PATH: "/tmp/evil", CNI_PATH: "/tmp/evil" },
      stdin: new TextEncoder().encode(JSON.stringify({ cniVersion: "1.1.0" })),
      timeout: 1_000,
      signal: new AbortController().signal,
    });
    asked.catch(() => {});
  }

  /** SIGTERM. */
  stop(): void {
    this.#stop.abort(new Error("told to stop"));
  }

  /** As runTerm() of mod/cmd, without the node's devices and an administrator's requests. */
  async #lead(over: AbortSignal): Promise<void> {
    const { concurrency, repair, gcNetworks } = this.#options;
    this.node.leads(this);
    const agent = new Agent(this.#ports, {
      driver: DRIVER,
      concurrency,
      policy: { trustClaims: true },
    });
    try {
      await agent.load();
      await this.activeAgent.take(agent);
      const upkeep = agent.upkeep({ interval: CHECK_INTERVAL, repair, gcNetworks }, over);
      await Promise.all([upkeep, aborted(over)]);
    } finally {
      await this.activeAgent.leave();
      await agent.close();
      this.leads = false;
    }
  }

  /** Connects to the runtime again and again. */
  async #connect(synchronized: () => void, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.node.runtime.connect(this, {
          signal,
          onSynchronized: () => {
            failures = 0;
            synchronized();
          },
        });
      } catch (error) {
        this.#log.debug("no connection to the runtime", { error: errorMessage(error) });
      }
      this.activeAgent.disconnected();
      const pause = Math.min(5_000, 100 * 2 ** failures++);
      await this.#clock.sleep(pause, signal).catch(() => {});
    }
  }

  #makeClock(): Clock {
    const { scheduler } = this.world;
    return {
      now: () => new Date(scheduler.now + this.node.clockSetBy),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason);
          const abort = () => {
            cancel();
            reject(signal!.reason);
          };
          const cancel = scheduler.after(ms, () => {
            signal?.removeEventListener("abort", abort);
            if (!this.process.dead) resolve();
          });
          signal?.addEventListener("abort", abort, { once: true });
        }),
    };
  }

  #makeLog(): Log {
    const { trace } = this.world;
    const say = (level: string) => (message: string, about?: Record<string, unknown>) => {
      if (this.process.dead) return;
      const error = about?.error === undefined ? "" : `: ${about.error}`;
      trace.note(`${this.process.name} ${level} ${message}${error}`);
    };
    return { debug: () => {}, info: say("info"), warn: say("warn"), error: say("error") };
  }

  #makeNamespaces(): Namespaces {
    const { node, process, world } = this;
    return {
      classify: (path) =>
        process.now(`classify ${path}`, () => {
          if (node.faults.has("noDescriptors") && world.chance.hits("EMFILE", 0.3)) {
            throw new Error("EMFILE");
          }
          return node.namespaceAt(path) ? "pod" : "gone";
        }),
      interfaces: (path, signal) => {
        const work = process.later(`interfaces in ${path}`, async () => {
          await world.pause(`${node.name} interfaces`, 0, 5);
          const namespace = node.namespaceAt(path);
          if (!namespace) throw new Error(`cannot enter ${path}`);
          namespace.lookedAt = world.scheduler.now;
          return new Set(["lo", ...namespace.links.keys()]);
        });
        return abortable(work, signal);
      },
      hold: (path) =>
        process.now(`hold ${path}`, () => {
          if (node.faults.has("noDescriptors")) throw new Error("EMFILE");
          const namespace = node.namespaceAt(path);
          if (!namespace) return undefined;
          const { path: held, release } = node.hold(namespace);
          process.onDeath(release);
          return { path: held, release };
        }),
    };
  }
}

/** Which interface is behind a device. */
const deviceTable: Devices = {
  known: () =>
    Promise.resolve((device) => {
      if (!(device in DEVICES)) throw new Error(`there is no device ${device}`);
      const interfaceName = DEVICES[device];
      return { device, ...(interfaceName !== undefined && { interfaceName }) };
    }),
  isGone: () => false,
  attributesOf: () => ({}),
};

const NO_METRICS: Metrics = {
  prepared() {},
  unprepared() {},
  gateWaited() {},
  statusWritten() {},
  checked() {},
  repaired() {},
  collected() {},
  forgotten() {},
  devicesPublished() {},
};

/** What a runtime tells a plugin when it connects. */
export interface Listed {
  readonly sandboxes: readonly Sandbox[];
  readonly started: ReadonlySet<string>;
}

/** The work's outcome, or the signal's reason when that is aborted first. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      work.catch(() => {});
      return reject(signal.reason);
    }
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const end = () => signal.removeEventListener("abort", abort);
    work.then((value) => {
      end();
      resolve(value);
    }, (error) => {
      end();
      reject(error);
    });
  });
}
