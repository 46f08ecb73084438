import { AddressBook } from "../../mod/addresses/address_book.ts";
import { AddressedCni } from "../../mod/addresses/addressed_cni.ts";
import { Agent } from "../../mod/agent/agent.ts";
import { ActiveAgent, type ActiveAgentPorts } from "../../mod/agent/handover/active_agent.ts";
import type { ListedContainers } from "../../mod/agent/handover/known_sandboxes.ts";
import { LeaderElection } from "../../mod/agent/handover/leader_election.ts";
import type { Sandbox } from "../../mod/agent/model.ts";
import type { Cni, Devices, Events, Log, Metrics, Namespaces } from "../../mod/agent/ports.ts";
import { addressUsers } from "../../mod/cmd/address_users.ts";
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
import { FileWaitingSandboxes } from "../../mod/journal/waiting_sandboxes.ts";
import { KubeAddressApi } from "../../mod/kube/address_api.ts";
import { KubeCluster } from "../../mod/kube/cluster.ts";
import { KubeObjectSource } from "../../mod/kube/object_source.ts";
import { NO_TRACES } from "../../mod/observe/traces.ts";
import { LeadLocks } from "../../mod/lead/lead_locks.ts";
import { DRIVER, type StoredDevice } from "./api_server.ts";
import { folderOf } from "./deno_files.ts";
import { attachmentName, type Link } from "./network.ts";
import { ADDRESSED, addressedNetwork, DEVICES } from "./networks.ts";
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
  readonly #ports: ConstructorParameters<typeof Agent>[0] & ActiveAgentPorts;
  readonly #options: AgentOptions;
  readonly #stop = new AbortController();
  readonly #stateFolder: string;
  /** The folder of the plugins, as this process sees it. */
  readonly cniPath: string;
  /** What the warden does for the confined agent. */
  readonly runPlugin: RunProgram;
  readonly #book: AddressBook;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Whether it has the lead by its own account. */
  leads = false;
  /** Called once, when an ADD has succeeded. */
  atAdd: ((link: Link) => void) | undefined;
  /** Whether the plugins that it runs take long. */
  isSlow = false;
  /** Called when the API server has taken a status. */
  atStatus: ((devices: readonly StoredDevice[]) => void) | undefined;
  /** Whether the kubelet is to know it. */
  isOffered = true;
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
    const connection = world.api.connectionOf(this);
    const events: Events = {
      warn: ({ reason, about, message }) =>
        world.trace.note(`${name} event ${reason} ${about.kind}/${about.name}: ${message}`),
    };
    const metrics = { taken() {}, conflicted() {}, held() {}, requested() {} };
    this.#book = new AddressBook({
      api: new KubeAddressApi(connection, {
        source: new KubeObjectSource(connection),
        clock: this.#clock,
        metrics,
      }),
      node: node.name,
      clock: this.#clock,
      log: this.#log,
      metrics,
      events,
    });
    this.#ports = {
      cni: this.#makeCni(),
      cluster: new KubeCluster(connection, {
        driver: DRIVER,
        nodeName: node.name,
      }),
      journal: this.#makeJournal(),
      waiting: new FileWaitingSandboxes(this.#stateFolder),
      namespaces: this.#makeNamespaces(),
      cdi: new CdiSpecFiles(folderOf(name, "cdi"), { driver: DRIVER }),
      devices: deviceTable,
      networks: {
        read: () =>
          Promise.resolve({
            names: [ADDRESSED],
            networkOf: ({ name }) => {
              if (name !== ADDRESSED) throw new Error(`there is no network ${name}`);
              const network = addressedNetwork(world.plan.addresses);
              return { network, place: `Network ${name}`, form: "name" };
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
      traces: NO_TRACES,
      events,
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
      this.isOffered = false;
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

  get isStopping(): boolean {
    return this.#stop.signal.aborted;
  }

  /** SIGTERM. */
  stop(): void {
    this.#stop.abort(new Error("told to stop"));
  }

  /** As runTerm() of mod/cmd, without the node's devices and an administrator's requests. */
  async #lead(over: AbortSignal): Promise<void> {
    const { concurrency, repair, gcNetworks } = this.#options;
    this.node.leads(this);
    await using _addresses = this.#book.lead(
      () => addressUsers(this.activeAgent, this.#ports.namespaces),
      over,
    );
    over.addEventListener("abort", () => this.node.endsLead(this), { once: true });
    const agent = new Agent(this.#ports, {
      driver: DRIVER,
      concurrency,
      policy: { trustClaims: true },
    });
    try {
      await agent.load();
      const offered = this.#offer();
      await this.activeAgent.take(agent);
      await offered;
      const upkeep = agent.upkeep({ interval: CHECK_INTERVAL, repair, gcNetworks }, over);
      await Promise.all([upkeep, aborted(over)]);
    } finally {
      const withdrawn = this.#withdraw();
      await this.activeAgent.leave();
      await withdrawn;
      await agent.close();
      this.leads = false;
    }
  }

  /** As offer() and withdraw() of mod/dra. */
  async #offer(): Promise<void> {
    if (this.isOffered || this.#stop.signal.aborted) return;
    this.isOffered = true;
    await this.node.kubelet.register(this);
  }

  async #withdraw(): Promise<void> {
    if (!this.isOffered) return;
    this.isOffered = false;
    await this.node.kubelet.forget(this);
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
      // A pause of less than the clock tells would never be over.
      elapsed: () => Math.floor(scheduler.elapsed),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason);
          const abort = () => {
            cancel();
            reject(signal!.reason);
          };
          // No timer is shorter.
          const cancel = scheduler.after(Math.max(1, ms), () => {
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

  #makeCni(): Cni {
    const { node, process } = this;
    const runner = new CniRunner(
      new Plugins({
        folders: new PluginFolders({ cniPath: [this.cniPath] }),
        timeout: CNI_TIMEOUT,
        run: this.runPlugin,
      }),
    );
    const cni = new AddressedCni(runner, this.#book);
    const add = cni.add.bind(cni);
    cni.add = async (network, runtime, options) => {
      const { containerID, ifName } = runtime;
      // It has its place from here on, although the plugins wait for its address.
      const end = node.beginTurn(process, containerID);
      try {
        return await add(network, runtime, options);
      } finally {
        end();
        if (!process.dead) node.addEnds(attachmentName(network.name, containerID, ifName));
      }
    };
    return cni;
  }

  /** An agent that dies after it has noted that an ADD begins, and before it does, leaves the same. */
  #makeJournal(): FileJournal {
    const { node, process } = this;
    const journal = new FileJournal(this.#stateFolder, { log: this.#log });
    const note = journal.noteAddStarted.bind(journal);
    journal.noteAddStarted = (record) => {
      const { attachment: { network, ifName }, sandbox } = record;
      const attachment = attachmentName(network.name, sandbox.id, ifName);
      node.addBegins(attachment);
      try {
        note(record);
      } catch (error) {
        if (!process.dead) node.addEnds(attachment);
        throw error;
      }
    };
    return journal;
  }

  #makeNamespaces(): Namespaces {
    const { node, process, world } = this;
    return {
      classify: (path) =>
        process.now(`classify ${path}`, () => {
          if (node.faults.has("noDescriptors") && world.chance.hits("EMFILE", 0.3)) {
            node.couldNotLook(path);
            throw new Error("EMFILE");
          }
          return node.namespaceAt(path) ? "pod" : "gone";
        }),
      interfaces: (path, signal) => {
        const work = process.later(`interfaces in ${path}`, async () => {
          await world.pause(`${node.name} interfaces`, 0, 5);
          const namespace = node.namespaceAt(path);
          if (!namespace) throw new Error(`cannot enter ${path}`);
          node.lookedInto(namespace);
          return new Map(namespace.links);
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
  prepareTook() {},
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
  readonly containers: ListedContainers;
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
