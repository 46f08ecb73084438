import assert from "node:assert/strict";
import { IMAGE_FILE, IMAGE_NAME } from "../../../deploy/image/build.ts";
import type { Json, Manifest } from "../api.ts";
import { apply, NAME, NAMESPACE, remove, render, type Values, withoutThose } from "../chart.ts";
import { CNI_BIN, FOLDERS, OWN_CNI_BIN } from "../node_place.ts";
import { until } from "../poll.ts";
import { PodLogs } from "../pod_logs.ts";
import { type Agent, type AgentContext, type LogLine, SETTINGS, type Signal } from "./agent.ts";

const SELECTOR = "app.kubernetes.io/name=network-dra";
/** As the administrator of the cases' node sets them. */
const VALUES: Values = {
  log: { level: "debug", format: "json" },
  cniPath: `${OWN_CNI_BIN}:${CNI_BIN}`,
  networkDir: FOLDERS.networks,
  networks: { objects: true },
  config: SETTINGS,
};
/** In milliseconds; the cores may be busy with other clusters. */
const ROLLOUT_LIMIT = 180_000;
/** No node has it. */
const NOWHERE = { "network-dra/here": "no" };

/** The agent as users run it: from its image, as the DaemonSet of the chart. */
export class DaemonSetAgent implements Agent {
  readonly #context: AgentContext;
  readonly #logs: PodLogs;
  /** How often it was updated. */
  #updates = 0;
  #values: Values = VALUES;
  #installed: readonly Manifest[] = [];

  private constructor(context: AgentContext) {
    this.#context = context;
    const folders = context.nodes.map(({ place }) => `${place.root}/var/log/pods`);
    this.#logs = new PodLogs(folders, new RegExp(`^${NAMESPACE}_${NAME}-\\w{5}_`));
  }

  static async start(context: AgentContext): Promise<DaemonSetAgent> {
    await Promise.all(context.nodes.map(({ runtime }) => runtime.importImage(IMAGE_FILE)));
    const agent = new DaemonSetAgent(context);
    // A cable that leads out of the node, to a switch, looks like a pod's.
    const interfaces = { include: ["eth0"] };
    if (context.nodes.length > 1) {
      agent.#values = { ...VALUES, config: { ...SETTINGS, interfaces } };
    }
    await agent.install();
    return agent;
  }

  get lines(): LogLine[] {
    return this.#logs.lines.map(parse);
  }

  async restart(signal: Signal): Promise<void> {
    if (signal === "SIGKILL") return await this.away(signal, () => Promise.resolve());
    const before = await this.pods();
    for (const { metadata: { name } } of before) {
      await this.#api.delete({ kind: "Pod", namespace: NAMESPACE, name });
    }
    await this.#rolledOut(before);
  }

  async away(signal: Signal, body: () => Promise<void>): Promise<void> {
    if (signal === "SIGKILL") {
      const before = await this.pods();
      await Promise.all(before.map((pod) => this.#kill(pod)));
      await body();
      await this.#startedAgain(before);
    } else {
      const before = await this.pods();
      await this.install({ nodeSelector: NOWHERE }, { wait: false });
      await this.#gone(before);
      await body();
      await this.install();
    }
  }

  /** Runs `body` while the nodeSelector leaves it on one node alone. */
  async onlyOn(node: string, body: () => Promise<void>): Promise<void> {
    await this.install({ nodeSelector: { "kubernetes.io/hostname": node } }, { wait: false });
    try {
      await until(`the agent runs on ${node} alone`, async () => {
        const [pod, ...others] = await this.pods();
        return others.length === 0 && pod?.spec.nodeName === node &&
            pod.status.containerStatuses?.[0].ready || undefined;
      }, { limit: ROLLOUT_LIMIT, explain: () => this.#explain() });
      await body();
    } finally {
      // Back to a template that it had: the controller can leave the pods of both beside each other.
      await this.away("SIGTERM", () => Promise.resolve());
    }
  }

  async update(): Promise<void> {
    const before = await this.pods();
    const [repository, version] = IMAGE_NAME.split(":");
    const tag = `${version}-${++this.#updates}`;
    for (const { runtime } of this.#context.nodes) {
      await runtime.tagImage(IMAGE_NAME, `${repository}:${tag}`);
    }
    this.#values = { ...this.#values, image: { tag } };
    await this.install({}, { wait: false });
    await this.#rolledOut(before);
  }

  async reinstall(driver: string): Promise<void> {
    await this.uninstall();
    this.#values = { ...this.#values, driverName: driver };
    await this.install();
  }

  /**
   * Like `helm upgrade --install` with these additional values: what the release before had alone is
   * deleted. Resolves when the DaemonSet is rolled out.
   */
  async install(values: Values = {}, { wait = true } = {}): Promise<void> {
    const before = this.#installed;
    this.#installed = await render({ ...this.#values, ...values });
    await apply(this.#api, this.#installed);
    await remove(this.#api, withoutThose(before, this.#installed));
    if (wait) await this.#rolledOut();
  }

  /** As `helm uninstall`; resolves when its pods are gone. */
  async uninstall(): Promise<void> {
    const before = await this.pods();
    await remove(this.#api, this.#installed);
    await this.#gone(before);
  }

  async stop(): Promise<void> {
    await this.uninstall();
    await this.#logs.stop();
    const said = (message: string) => this.lines.filter(({ msg }) => msg === message).length;
    assert.equal(said("network-dra stopped"), said("network-dra stops"));
  }

  /** Its pods on the cluster's nodes. */
  async pods(): Promise<Json[]> {
    const names = this.#context.nodes.map(({ name }) => name);
    const query = `labelSelector=${encodeURIComponent(SELECTOR)}`;
    const path = `/api/v1/namespaces/${NAMESPACE}/pods?${query}`;
    const { items } = await this.#api.request("GET", path);
    return items.filter(({ spec }: Json) => names.includes(spec.nodeName));
  }

  get #api() {
    return this.#context.plane.api;
  }

  /** @param old its pods before: none of them is there any more */
  async #rolledOut(old: readonly Json[] = []): Promise<void> {
    await until("the DaemonSet is rolled out", async () => {
      const set = await this.#api.get({ kind: "DaemonSet", namespace: NAMESPACE, name: NAME });
      const { observedGeneration, desiredNumberScheduled: wanted, ...status } = set.status;
      const pods = await this.pods();
      return observedGeneration === set.metadata.generation &&
          wanted === this.#context.nodes.length && pods.length === wanted &&
          status.updatedNumberScheduled === wanted && status.numberAvailable === wanted &&
          !pods.some(({ metadata }) => old.some((each) => each.metadata.uid === metadata.uid)) ||
        undefined;
    }, { limit: ROLLOUT_LIMIT, explain: () => this.#explain() });
  }

  async #gone(pods: readonly Json[]): Promise<void> {
    await until("the agent is gone", async () => {
      const present = (await this.pods()).map(({ metadata }) => metadata.uid);
      return !pods.some(({ metadata }) => present.includes(metadata.uid)) || undefined;
    }, { explain: () => this.#explain() });
  }

  /** Kills what runs in its container. */
  async #kill({ spec, status }: Json): Promise<void> {
    const node = this.#context.nodes.find(({ name }) => name === spec.nodeName)!;
    const [, id] = status.containerStatuses[0].containerID.split("//");
    await node.kill(id);
  }

  async #startedAgain(before: readonly Json[]): Promise<void> {
    const restarts = ({ status }: Json) => status.containerStatuses?.[0].restartCount ?? 0;
    await until("the killed agents run again", async () => {
      const pods = await this.pods();
      return before.every((old) => {
        const pod = pods.find(({ metadata }) => metadata.uid === old.metadata.uid);
        return pod && restarts(pod) > restarts(old) && pod.status.containerStatuses[0].ready;
      }) || undefined;
    }, { limit: ROLLOUT_LIMIT, explain: () => this.#explain() });
  }

  async #explain(): Promise<string> {
    const pods = (await this.pods()).map(({ metadata, status }) =>
      `${metadata.name}: ${JSON.stringify(status)}`
    );
    const events = (await this.#api.list({ kind: "Event", namespace: NAMESPACE }))
      .map(({ involvedObject, reason, message }) =>
        `${involvedObject.name}: ${reason}: ${message}`
      );
    return [...pods, ...events, ...this.#logs.lines.slice(-20)].join("\n");
  }
}

/** That of a cluster on which it runs so. */
export function agentOf({ agent }: { readonly agent: Agent }): DaemonSetAgent {
  if (agent instanceof DaemonSetAgent) return agent;
  throw new Error("the agent of this cluster is not a DaemonSet");
}

function parse(line: string): LogLine {
  try {
    return JSON.parse(line);
  } catch {
    return { level: "raw", msg: line };
  }
}
