import assert from "node:assert/strict";
import { join } from "node:path";
import { agentArguments, AgentProcess } from "../../support/agent_process.ts";
import { IMAGE } from "../../support/image.ts";
import { agentToken } from "../agent_account.ts";
import { apply, render } from "../chart.ts";
import { CNI_BIN, FOLDERS, OWN_CNI_BIN } from "../node_place.ts";
import { DRIVER } from "../objects.ts";
import { until } from "../poll.ts";
import { type Agent, type AgentContext, type LogLine, SETTINGS, type Signal } from "./agent.ts";

/** The rest of the chart is installed: the agent runs beside the cluster, not as its DaemonSet. */
const LEFT_OUT = ["DaemonSet", "ConfigMap"];

export interface ProcessOptions {
  /** Another main program that takes the same flags. */
  readonly main?: string;
  readonly logLevel?: string;
}

/** The agent from source as a process on the first node, as systemd runs it. */
export class ProcessAgent implements Agent {
  readonly #context: AgentContext;
  /** All that ran, the present one last. */
  readonly #all: AgentProcess[] = [];
  #driver = DRIVER;

  private constructor(context: AgentContext) {
    this.#context = context;
  }

  static async start(context: AgentContext): Promise<ProcessAgent> {
    const agent = new ProcessAgent(context);
    await agent.#install();
    const [node] = context.nodes;
    const { plane } = context;
    const token = await agentToken(plane.api, { nodeName: node!.name, image: IMAGE });
    await plane.writeKubeconfig("agent", { token });
    await Deno.writeTextFile(agent.#config, JSON.stringify(SETTINGS));
    await agent.begin();
    return agent;
  }

  get lines(): LogLine[] {
    return this.#all.flatMap(({ lines }) => lines);
  }

  get pid(): number {
    return this.#present.pid;
  }

  async restart(signal: Signal): Promise<void> {
    await this.away(signal, () => Promise.resolve());
  }

  async away(signal: Signal, body: () => Promise<void>): Promise<void> {
    await this.end(signal);
    await body();
    await this.begin();
  }

  async update(): Promise<void> {
    const old = this.#present;
    await this.#begin({}, crypto.randomUUID());
    assert.equal(await old.end(), 0, old.log);
  }

  async reinstall(driver: string): Promise<void> {
    await this.end();
    this.#driver = driver;
    await this.#install();
    await this.begin();
  }

  async stop(): Promise<void> {
    assert.equal(await this.end(), 0, this.#present.log);
  }

  async end(signal: Signal = "SIGTERM"): Promise<number> {
    return await this.#present.end(signal);
  }

  async begin(options: ProcessOptions = {}): Promise<void> {
    await this.#begin(options);
  }

  get #present(): AgentProcess {
    const agent = this.#all.at(-1);
    if (!agent) throw new Error("no agent has been started");
    return agent;
  }

  get #config(): string {
    return join(this.#context.folder, "config.json");
  }

  async #install(): Promise<void> {
    const manifests = await render({ driverName: this.#driver, networks: { objects: true } });
    const rest = manifests.filter(({ kind }) => !LEFT_OUT.includes(kind));
    await apply(this.#context.plane.api, rest);
  }

  /** @param podUid of its pod: then it can start beside another */
  async #begin({ main, logLevel = "debug" }: ProcessOptions, podUid?: string): Promise<void> {
    const { folder, nodes: [node] } = this.#context;
    const args = agentArguments().map((arg) => main && arg.endsWith("/main.ts") ? main : arg);
    this.#all.push(
      new AgentProcess([
        ...["--log-level", logLevel, "--node-name", node!.name, "--driver-name", this.#driver],
        ...["--kubeconfig", join(folder, "agent.kubeconfig"), "--config", this.#config],
        ...["--cni-path", `${OWN_CNI_BIN}:${CNI_BIN}`, "--network-dir", FOLDERS.networks],
        "--network-objects",
        ...podUid ? ["--pod-uid", podUid] : [],
      ], { args }),
    );
    await until("the agent is ready", () => {
      return Promise.resolve(this.#present.lines.find(({ msg }) => msg === "ready"));
    }, { limit: 30_000, explain: () => Promise.resolve(this.#present.log) });
  }
}
