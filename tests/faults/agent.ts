import { join } from "node:path";
import { agentArguments, AgentProcess } from "../support/agent_process.ts";
import type { Control } from "./control.ts";
import type { CrashPoint } from "./schedule.ts";

const ENTRY = new URL("agent_entry.ts", import.meta.url).pathname;
const ROOT = new URL("../..", import.meta.url).pathname;
/** What it is started from: one file, which starts faster. */
const BUNDLE = join(ROOT, "dist/faults-agent.js");
/** An agent must serve by then, in milliseconds; the machine may be busy. */
const START_LIMIT = 60_000;

/** Bundles the entry; to be done where the bundler's own program can be fetched. */
export async function bundleAgent(): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform=deno", "--output", BUNDLE, ENTRY],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`deno bundle: ${new TextDecoder().decode(stderr)}`);
}

export interface SupervisedOptions {
  readonly folder: string;
  readonly flags: readonly string[];
  /** The plugins that it runs have this folder in CNI_PATH. */
  readonly pluginFolder: string;
  readonly sabotage?: Control["sabotage"];
  /** Folder for the agents' logs. */
  readonly logs?: string;
  readonly note: (line: string) => void;
  /** It died where it was told to. */
  readonly onCrash: (point: CrashPoint) => void;
  /** The agent ended and nobody wanted it to. */
  readonly onUnexpectedEnd: (how: string) => void;
}

/**
 * The agent with its supervisor: what ends it starts it again, and ends what it left running, as
 * systemd and container runtimes do (a control group, a PID namespace).
 */
export class SupervisedAgent {
  readonly #options: SupervisedOptions;
  readonly #controlPath: string;
  #control: Control;
  #process: AgentProcess | undefined;
  /** The process that was ready last. */
  #ready: AgentProcess | undefined;
  /** Whether its end was asked for, or is known. */
  #expected = false;
  #starts = 0;
  /** Steps that end or start it, one at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  /** How often the agent died where it was told to. */
  readonly crashes = new Map<CrashPoint, number>();
  /** When the process began (performance.now()). */
  startedAt = 0;
  /** Raised whenever an agent began or ended. */
  epoch = 0;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.#controlPath = join(options.folder, "control");
    this.#control = options.sabotage ? { sabotage: options.sabotage } : {};
  }

  get pid(): number {
    return this.#process!.pid;
  }

  get starts(): number {
    return this.#starts;
  }

  /** What it logged since it started last. */
  get log(): string {
    return this.#process?.log ?? "";
  }

  get running(): boolean {
    return this.#process !== undefined && !this.#process.ended && !this.#expected;
  }

  /** Whether it serves: the runtime and the kubelet know it, or have known it. */
  get serving(): boolean {
    return this.running && this.#ready === this.#process;
  }

  /** Whether it is connected to the container runtime, as far as it has said. */
  get synchronized(): boolean {
    if (!this.running) return false;
    const last = this.#process!.lines.findLast(({ msg }) =>
      msg === "the NRI plugin is synchronized" || msg.startsWith("no connection to the container")
    );
    return last?.msg === "the NRI plugin is synchronized";
  }

  start(): Promise<void> {
    return this.#inTurn(() => this.#start());
  }

  /** Ends it, waits, and starts it again; `meanwhile` is done while it is away. */
  restart(
    signal: "SIGTERM" | "SIGKILL",
    { away, meanwhile = () => Promise.resolve() }: {
      readonly away: number;
      readonly meanwhile?: () => Promise<void>;
    },
  ): Promise<void> {
    return this.#inTurn(async () => {
      await this.#end(signal);
      await meanwhile();
      await pause(away);
      await this.#start();
    });
  }

  /** It dies at that point, the next time that it comes there. */
  crashAt(crash: CrashPoint): void {
    this.#tell({ ...this.#control, crash });
  }

  disarm(): void {
    this.#tell({ ...this.#control, crash: undefined });
  }

  setClock(offset: number): void {
    this.#tell({ ...this.#control, clock: offset });
  }

  /** Resolves when no step is in progress and the agent is ready. */
  async settled(): Promise<void> {
    let before: Promise<unknown> | undefined;
    while (before !== this.#turn) {
      before = this.#turn;
      await before;
    }
  }

  async stop(): Promise<number> {
    let code = 0;
    await this.#inTurn(async () => code = await this.#end("SIGTERM"));
    return code;
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task);
    this.#turn = result.catch(() => {});
    return result;
  }

  #tell(control: Control): void {
    this.#control = control;
    const path = `${this.#controlPath}.new`;
    Deno.writeTextFileSync(path, JSON.stringify(control));
    Deno.renameSync(path, this.#controlPath);
  }

  async #start(): Promise<void> {
    this.#tell({ ...this.#control, crash: undefined });
    this.#expected = false;
    this.epoch++;
    const entry = [...agentArguments().slice(0, -2), "--no-config", "--no-lock", BUNDLE];
    this.startedAt = performance.now();
    const agent = new AgentProcess(this.#options.flags, { args: [...entry, this.#controlPath] });
    this.#process = agent;
    this.#starts++;
    void agent.done.then((how) => this.#ended(agent, how));
    const limit = setTimeout(() => Deno.kill(agent.pid, "SIGKILL"), START_LIMIT);
    try {
      await agent.ready();
      this.#ready = agent;
    } catch (error) {
      // It died at a point where it was told to, before it was ready: #ended() starts another.
      if (!this.#expected) this.#options.note(`the agent did not start: ${String(error)}`);
    } finally {
      clearTimeout(limit);
    }
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    const agent = this.#process!;
    this.#expected = true;
    this.epoch++;
    const code = await agent.end(signal);
    await endOrphans(this.#options.pluginFolder);
    await this.#keepLog(agent);
    return code;
  }

  #ended(agent: AgentProcess, how: string): void {
    if (agent !== this.#process || this.#expected) return;
    this.#expected = true;
    this.epoch++;
    const { crash } = this.#control;
    if (crash !== undefined && how === "SIGKILL") {
      this.crashes.set(crash, (this.crashes.get(crash) ?? 0) + 1);
      this.#options.onCrash(crash);
    } else {
      this.#options.onUnexpectedEnd(how);
    }
    void this.#inTurn(async () => {
      if (agent !== this.#process) return;
      await endOrphans(this.#options.pluginFolder);
      await this.#keepLog(agent);
      await this.#start();
    });
  }

  async #keepLog(agent: AgentProcess): Promise<void> {
    const { logs } = this.#options;
    if (logs) await Deno.writeTextFile(join(logs, `agent-${this.#starts}.log`), `${agent.log}\n`);
  }
}

/** Ends the plugins that an agent left running. */
async function endOrphans(pluginFolder: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const left: number[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const environment = await Deno.readTextFile(`/proc/${name}/environ`).catch(() => "");
      if (environment.includes(`CNI_PATH=${pluginFolder}`)) left.push(Number(name));
    }
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await pause(5);
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
