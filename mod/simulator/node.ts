import { create } from "@bufbuild/protobuf";
import { join } from "node:path";
import {
  type Container,
  ContainerSchema,
  ContainerState,
  type PodSandbox,
  PodSandboxSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import type { Fields, Manifest } from "../manifests/manifest.ts";
import { namespaceLabels, NETWORK_KINDS } from "../manifests/networks.ts";
import { podsOf } from "../manifests/workloads.ts";
import { SimulatedApiServer, type StoredClaim } from "./api_server.ts";
import { bindMounts, resolveCdi } from "./cdi.ts";
import { SimulatedKubelet } from "./kubelet.ts";
import { extendedResourceClaim } from "./extended_resources.ts";
import { NriRuntime } from "./nri_runtime.ts";
import { claimsOf, type PodClaim } from "./pod_claims.ts";
import { ip } from "./private_node.ts";
import { publishedDevices } from "./published_devices.ts";
import { SLICES_PATH } from "./resource_slices.ts";
import { schedule } from "./scheduler.ts";
import { errorMessage } from "../async/error_message.ts";

export interface SimulatedNodeOptions {
  readonly name: string;
  /** A folder for sockets and state, made by the caller. */
  readonly folder: string;
  readonly driver: string;
  /** Called with each step, in words. */
  readonly step: (line: string) => void;
}

/** How long the agent may take to publish the node's devices, in milliseconds. */
const DEVICES_PATIENCE = 10_000;
/** The kubelet's pauses between attempts to create a container; the later ones are shortened here. */
const CREATE_PAUSES = [400, 1000, 2000, 4000, 8000];
/** Attempts that may fail for a cause other than networks that are still being attached. */
const MOST_FAILURES = 4;
/** The agent's answer while it attaches networks. */
const STILL_ATTACHING = /: still being attached$/;
const PREPARE_TRIES = 3;

/** A pod that runs on the simulated node. */
interface RunningPod {
  readonly sandbox: PodSandbox;
  readonly netns: string;
  readonly containers: Container[];
  readonly claims: ClaimRef[];
  stage: "new" | "prepared" | "running";
}

/**
 * A node with its kubelet, its container runtime and a cluster's API server, as far as a network
 * driver sees them. It must run in a private node (see private_node.ts).
 */
export class SimulatedNode {
  readonly api = new SimulatedApiServer();
  readonly kubelet: SimulatedKubelet;
  readonly runtime: NriRuntime;
  readonly #options: SimulatedNodeOptions;
  readonly #pods: RunningPod[] = [];
  readonly #others: string[] = [];
  /** The CDI devices that Prepare gave, by claim UID. */
  readonly #cdiDevices = new Map<string, readonly string[]>();

  constructor(options: SimulatedNodeOptions) {
    this.#options = options;
    this.kubelet = new SimulatedKubelet({ kubeletDir: this.paths.kubeletDir });
    this.runtime = new NriRuntime({
      socketPath: this.paths.nriSocket,
      inventory: () => ({
        pods: this.#pods.filter(({ stage }) => stage === "running").map(({ sandbox }) => sandbox),
        containers: this.#pods.flatMap(({ containers }) => containers),
      }),
    });
  }

  /** Where an agent finds what it needs of this node. */
  get paths() {
    const { folder } = this.#options;
    return {
      kubeletDir: join(folder, "kubelet"),
      nriSocket: join(folder, "nri.sock"),
      stateDir: join(folder, "state"),
      cdiDir: join(folder, "cdi"),
      kubeconfig: join(folder, "kubeconfig"),
    };
  }

  get name(): string {
    return this.#options.name;
  }

  /**
   * The commands that enter the networks of running pods from outside the private node.
   *
   * @param pid the process ID of the private node, as seen from outside
   */
  entrances(pid: number): { readonly pod: string; readonly command: string }[] {
    return this.#pods.filter(({ stage }) => stage === "running").map(({ sandbox, netns }) => ({
      pod: sandbox.name,
      command: `nsenter --target ${pid} --net --mount ip netns exec ${netns} sh`,
    }));
  }

  async start(): Promise<void> {
    this.api.start();
    this.api.addNode(this.#options.name);
    await Deno.writeTextFile(this.paths.kubeconfig, this.api.kubeconfig(), { mode: 0o600 });
    this.runtime.start();
    await this.kubelet.start();
  }

  async stop(): Promise<void> {
    await this.kubelet.stop();
    this.runtime.stop();
    await this.api.stop();
  }

  /** Stores the networks and namespaces that files describe. */
  storeNetworks(
    manifests: readonly Manifest[],
    { namespaces }: { readonly namespaces: readonly Manifest[] },
  ): void {
    const labels = new Map([["default", {}], ...namespaceLabels(namespaces)]);
    const used = manifests.map(({ metadata }) => metadata.namespace ?? "default");
    for (const name of new Set([...labels.keys(), ...used])) {
      this.api.objects.put("/api/v1/namespaces", { metadata: { name, labels: labels.get(name) } });
    }
    this.api.objects.serve("/apis/dra.networking/v1alpha1/networkaddresses");
    for (const { kind, apiVersion, metadata, ...rest } of manifests) {
      if (!NETWORK_KINDS.includes(kind)) continue;
      const { namespace = "default" } = metadata;
      const isNetwork = kind === "Network";
      const plural = isNetwork ? "networks" : "network-attachment-definitions";
      this.api.objects.put(`/apis/${apiVersion}/${plural}`, {
        ...rest,
        metadata: isNetwork ? metadata : { ...metadata, namespace },
      });
    }
  }

  /**
   * Runs the pods of the manifests with their claims, one after the other. Rejects at the first that
   * fails.
   *
   * @returns what was not tried, in words
   */
  async run(manifests: readonly Manifest[]): Promise<string[]> {
    const { step } = this.#options;
    const byKind = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);
    const classes = new Map(byKind("DeviceClass").map((item) => [item.metadata.name, item]));
    const templates = new Map(
      byKind("ResourceClaimTemplate").map((item) => [key(item.metadata), item]),
    );
    for (const claim of byKind("ResourceClaim")) this.#store(claim);
    const workloads = manifests.filter(({ kind }) =>
      !["DeviceClass", "ResourceClaimTemplate", "ResourceClaim", ...NETWORK_KINDS].includes(kind)
    );
    if (workloads.length === 0) {
      throw new Error("the files contain no Pod and no workload that would use the claims");
    }
    await this.#devicesPublished();
    const untried: string[] = [];
    for (const workload of workloads) {
      const { pods, note } = podsOf(workload);
      if (note) step(`${workload.kind} ${workload.metadata.name}: ${note}`);
      for (const pod of pods) {
        const problem = await this.#runPod(pod, { classes, templates });
        if (problem !== undefined) untried.push(problem);
      }
    }
    for (const { metadata, status } of this.api.all()) {
      if (((status?.reservedFor ?? []) as unknown[]).length > 0) continue;
      step(`claim ${metadata.name}: not tried: no pod uses it`);
    }
    return untried;
  }

  /** Adds a node of the cluster with devices but without an agent: pods that are scheduled to it are not tried. */
  addNode(name: string): void {
    this.api.addNode(name);
    this.#others.push(name);
  }

  /** Stores a ResourceSlice as the agent of another node would. */
  async publish(slice: unknown): Promise<void> {
    const response = await fetch(`${this.api.url}${SLICES_PATH}`, {
      method: "POST",
      body: JSON.stringify(slice),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`a ResourceSlice was refused: ${text}`);
  }

  async #devicesPublished(): Promise<void> {
    const { name, driver } = this.#options;
    const until = performance.now() + DEVICES_PATIENCE;
    const isThere = () =>
      publishedDevices(this.api.slices.all()).some((device) =>
        device.node === name && device.driver === driver
      );
    while (!isThere()) {
      if (performance.now() > until) throw new Error("the agent has published no devices");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /**
   * Stops all pods, the last one first, and unprepares the claims that no pod uses any longer.
   *
   * @param patience how long the agent may take for a pod's claims, in milliseconds; by default, the
   * kubelet's time-out
   */
  async drain(patience?: number): Promise<void> {
    while (this.#pods.length > 0) {
      const pod = this.#pods.at(-1)!;
      if (pod.stage === "running") await this.#stopSandbox(pod);
      this.#pods.pop();
      if (pod.stage !== "new") await this.#unprepare(pod, patience);
    }
  }

  async #stopSandbox({ sandbox, netns }: RunningPod): Promise<void> {
    await this.runtime.stopPodSandbox(sandbox);
    this.#options.step(`pod ${sandbox.name}: sandbox stopped`);
    await ip(["netns", "delete", netns]);
    await this.runtime.removePodSandbox(sandbox);
  }

  async #unprepare(pod: RunningPod, patience?: number): Promise<void> {
    const unused = pod.claims.filter((claim) => !this.#isUsed(claim));
    if (unused.length === 0) return;
    const answers = await this.kubelet.unprepare(this.#options.driver, unused, patience);
    for (const { uid, name } of unused) {
      const error = answers[uid]?.error;
      if (error) throw new Error(`claim ${name}: NodeUnprepareResources: ${error}`);
      this.#cdiDevices.delete(uid);
      this.#options.step(`claim ${name}: unprepared`);
    }
  }

  #isUsed({ uid }: ClaimRef): boolean {
    return this.#pods.some(({ claims }) => claims.some((claim) => claim.uid === uid));
  }

  /** A status in a file comes from another cluster. */
  #store(claim: Manifest): StoredClaim {
    return this.api.put({ ...claim, status: {} });
  }

  /** @returns why it was not tried, in words */
  async #runPod(
    pod: Manifest,
    { classes, templates }: {
      readonly classes: ReadonlyMap<string, Manifest>;
      readonly templates: ReadonlyMap<string, Manifest>;
    },
  ): Promise<string | undefined> {
    const { step } = this.#options;
    const { namespace = "default", name } = pod.metadata;
    const uid = crypto.randomUUID();
    const spec = (pod.spec ?? {}) as Fields;
    const claims = claimsOf(pod, {
      uid,
      claim: (wanted) => this.api.get(namespace, wanted),
      claimNames: () => this.api.all().map(({ metadata }) => key(metadata)),
      templates,
      store: (made) => this.#store(made),
    });
    const extended = extendedResourceClaim(pod, classes);
    if (extended) {
      const stored = this.#store(extended.claim);
      step(`pod ${name}: claim ${stored.metadata.name} made for its extended resources`);
      claims.push({ stored, isUsedBy: (container) => extended.containers.includes(container) });
    }
    const node = this.#schedule(name, claims, classes);
    for (const { stored } of claims) {
      const reservedFor = (stored.status?.reservedFor ?? []) as Fields[];
      stored.status = {
        ...stored.status,
        reservedFor: [...reservedFor, { resource: "pods", name, uid }],
      };
    }
    if (node !== this.#options.name) {
      const problem = `pod ${name}: scheduled to ${node}, on which no agent runs here`;
      step(`${problem}: its networks are not tried`);
      return problem;
    }
    const refs = claims.map(({ stored: { metadata } }) => ({
      namespace: metadata.namespace,
      name: metadata.name,
      uid: metadata.uid,
    }));
    const netns = `cni-${uid}`;
    const sandbox = create(PodSandboxSchema, {
      id: crypto.randomUUID().replaceAll("-", ""),
      name,
      uid,
      namespace,
      linux: {
        namespaces: spec.hostNetwork === true
          ? []
          : [{ type: "network", path: `/var/run/netns/${netns}` }],
      },
    });
    const running: RunningPod = { sandbox, netns, containers: [], claims: refs, stage: "new" };
    const fresh = refs.filter((claim) => !this.#isUsed(claim));
    this.#pods.push(running);
    await this.#prepare(running, fresh);
    await ip(["netns", "add", netns]);
    running.stage = "running";
    await this.runtime.runPodSandbox(sandbox);
    step(`pod ${name}: sandbox runs`);
    const { initContainers = [], containers = [] } = spec as Readonly<Record<string, Fields[]>>;
    for (const container of [...initContainers ?? [], ...containers]) {
      const uids = claims.filter(({ isUsedBy }) => isUsedBy(`${container.name}`))
        .map(({ stored }) => stored.metadata.uid);
      await this.#createContainer(running, {
        name: `${container.name}`,
        cdiDevices: uids.flatMap((claimUid) => this.#cdiDevices.get(claimUid) ?? []),
      });
    }
    return undefined;
  }

  /** Allocates devices for the claims, and reports them. */
  #schedule(
    pod: string,
    claims: readonly PodClaim[],
    classes: ReadonlyMap<string, Manifest>,
  ): string {
    const fresh = claims.filter(({ stored }) => !stored.status?.allocation);
    let node: string;
    try {
      node = schedule(claims.map(({ stored }) => stored), {
        nodes: [this.#options.name, ...this.#others],
        devices: publishedDevices(this.api.slices.all()),
        classes,
        claims: this.api.all(),
      });
    } catch (error) {
      throw new Error(`pod ${pod}: FailedScheduling: ${errorMessage(error)}`, { cause: error });
    }
    for (const { stored: { metadata, status } } of fresh) {
      const { devices } = status!.allocation as { devices: { results: Fields[] } };
      const results = devices.results.map(({ request, device }) => `${request} gets ${device}`);
      this.#options.step(
        `claim ${metadata.name}: allocated: ${results.join(", ")} on ${node}`,
      );
    }
    return node;
  }

  /** Prepares the claims that no other pod uses yet: the kubelet prepares each claim once. */
  async #prepare(pod: RunningPod, fresh: readonly ClaimRef[]): Promise<void> {
    const { driver, step } = this.#options;
    const { name } = pod.sandbox;
    let said = "";
    for (let attempt = 1; fresh.length > 0; attempt++) {
      const answers = await this.kubelet.prepare(driver, fresh);
      const failed = fresh.find(({ uid }) => answers[uid]?.error);
      if (!failed) {
        for (const { uid } of fresh) {
          const ids = answers[uid]?.devices.flatMap(({ cdiDeviceIds }) => cdiDeviceIds);
          this.#cdiDevices.set(uid, [...new Set(ids)]);
        }
        step(`pod ${name}: claims prepared`);
        break;
      }
      const problem = `NodePrepareResources: ${answers[failed.uid]?.error}`;
      if (problem !== said) step(`pod ${name}: FailedPrepareDynamicResources: ${problem}`);
      said = problem;
      if (attempt === PREPARE_TRIES) throw new Error(`pod ${name}: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    pod.stage = "prepared";
  }

  async #createContainer(
    pod: RunningPod,
    { name, cdiDevices }: { readonly name: string; readonly cdiDevices: readonly string[] },
  ): Promise<void> {
    let failures = 0;
    let said = "";
    // What failed later, such as a DEL after an ADD, is a consequence.
    let cause: string | undefined;
    for (const pause of [...CREATE_PAUSES, undefined]) {
      try {
        const mounts = await resolveCdi(this.paths.cdiDir, cdiDevices);
        const container = create(ContainerSchema, {
          id: crypto.randomUUID().replaceAll("-", ""),
          podSandboxId: pod.sandbox.id,
          name,
          state: ContainerState.CONTAINER_CREATED,
          mounts: mounts.map(({ containerPath }) => ({ destination: containerPath })),
          cdiDevices: cdiDevices.map((device) => ({ name: device })),
        });
        await this.runtime.createContainer(pod.sandbox, container);
        pod.containers.push(container);
        this.#options.step(`pod ${pod.sandbox.name}: container ${name} created`);
        container.state = ContainerState.CONTAINER_STOPPED;
        await bindMounts(mounts);
        container.state = ContainerState.CONTAINER_RUNNING;
        return;
      } catch (error) {
        const problem = errorMessage(error);
        const isProgress = STILL_ATTACHING.test(problem);
        const what = isProgress ? "waiting" : "CreateContainerError";
        if (problem !== said) this.#options.step(`pod ${pod.sandbox.name}: ${what}: ${problem}`);
        said = problem;
        if (!isProgress) {
          failures++;
          cause ??= problem;
        }
        if (pause === undefined || failures === MOST_FAILURES) {
          throw new Error(`pod ${pod.sandbox.name}: ${cause ?? problem}`);
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

function key({ namespace = "default", name }: Manifest["metadata"]): string {
  return `${namespace}/${name}`;
}
