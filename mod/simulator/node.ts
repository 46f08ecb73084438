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
import { SimulatedApiServer, type StoredClaim } from "./api_server.ts";
import { bindMounts, resolveCdi } from "./cdi.ts";
import { SimulatedKubelet } from "./kubelet.ts";
import type { Fields, Manifest } from "./manifest.ts";
import { NriRuntime } from "./nri_runtime.ts";
import { ip } from "./private_node.ts";
import { allocate } from "./scheduler.ts";
import { errorMessage } from "../async/error_message.ts";

export interface SimulatedNodeOptions {
  readonly name: string;
  /** A folder for sockets and state, made by the caller. */
  readonly folder: string;
  readonly driver: string;
  /** Says what happens, step by step. */
  readonly step: (line: string) => void;
}

/** The device of every simulated node, as in the origin's ResourceSlice. */
const DEVICE = "cni";
/** The kubelet's pauses between its tries to create a container; the later ones made short here. */
const CREATE_PAUSES = [400, 1000, 2000, 4000, 8000];
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

  /** Runs the pods of the manifests with their claims, one after the other. Rejects at the first that fails. */
  async run(manifests: readonly Manifest[]): Promise<void> {
    const byKind = (kind: string) => manifests.filter((manifest) => manifest.kind === kind);
    const classes = new Map(byKind("DeviceClass").map((item) => [item.metadata.name, item]));
    const templates = new Map(
      byKind("ResourceClaimTemplate").map((item) => [key(item.metadata), item]),
    );
    for (const claim of byKind("ResourceClaim")) this.#store(claim, classes);
    const pods = byKind("Pod");
    if (pods.length === 0) throw new Error("the files hold no Pod: nothing would use the claims");
    for (const pod of pods) await this.#runPod(pod, { classes, templates });
    for (const { metadata, status } of this.api.all()) {
      if ((status?.reservedFor as unknown[]).length > 0) continue;
      this.#options.step(`claim ${metadata.name}: not tried, for no pod names it`);
    }
  }

  /** Stops all pods, the last first, and unprepares the claims that no pod uses any more. */
  async drain(): Promise<void> {
    while (this.#pods.length > 0) {
      const pod = this.#pods.at(-1)!;
      if (pod.stage === "running") await this.#stopSandbox(pod);
      this.#pods.pop();
      if (pod.stage !== "new") await this.#unprepare(pod);
    }
  }

  async #stopSandbox({ sandbox, netns }: RunningPod): Promise<void> {
    await this.runtime.stopPodSandbox(sandbox);
    this.#options.step(`pod ${sandbox.name}: sandbox stopped`);
    await ip(["netns", "delete", netns]);
    await this.runtime.removePodSandbox(sandbox);
  }

  async #unprepare(pod: RunningPod): Promise<void> {
    const unused = pod.claims.filter((claim) => !this.#isUsed(claim));
    if (unused.length === 0) return;
    const answers = await this.kubelet.unprepare(this.#options.driver, unused);
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

  #store(claim: Manifest, classes: ReadonlyMap<string, Manifest>): StoredClaim {
    const { name, driver, step } = this.#options;
    const allocation = allocate(claim, { node: name, driver, device: DEVICE, classes, note: step });
    // A status that stands in a file is that of another cluster.
    const stored = this.api.put({ ...claim, status: { allocation, reservedFor: [] } });
    step(`claim ${stored.metadata.name}: allocated`);
    return stored;
  }

  async #runPod(
    pod: Manifest,
    { classes, templates }: {
      readonly classes: ReadonlyMap<string, Manifest>;
      readonly templates: ReadonlyMap<string, Manifest>;
    },
  ): Promise<void> {
    const { namespace = "default", name } = pod.metadata;
    const uid = crypto.randomUUID();
    const spec = (pod.spec ?? {}) as Fields;
    const claims = ((spec.resourceClaims ?? []) as Fields[]).map((entry) => {
      const stored = this.#claimOf(entry, { pod: { namespace, name, uid }, classes, templates });
      const reservedFor = (stored.status?.reservedFor ?? []) as Fields[];
      stored.status = {
        ...stored.status,
        reservedFor: [...reservedFor, { resource: "pods", name, uid }],
      };
      return { podName: entry.name as string, stored };
    });
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
    this.#options.step(`pod ${name}: sandbox runs`);
    for (const container of (spec.containers ?? []) as Fields[]) {
      const used = ((container.resources as Fields | undefined)?.claims ?? []) as Fields[];
      const uids = claims.filter((claim) => used.some((use) => use.name === claim.podName))
        .map(({ stored }) => stored.metadata.uid);
      await this.#createContainer(running, {
        name: `${container.name}`,
        cdiDevices: uids.flatMap((claimUid) => this.#cdiDevices.get(claimUid) ?? []),
      });
    }
  }

  /** The claim that an entry of a pod's spec.resourceClaims means; one made from a template is the pod's own. */
  #claimOf(
    entry: Fields,
    { pod, classes, templates }: {
      readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
      readonly classes: ReadonlyMap<string, Manifest>;
      readonly templates: ReadonlyMap<string, Manifest>;
    },
  ): StoredClaim {
    const { namespace, name } = pod;
    const at = `pod ${name}: spec.resourceClaims ${entry.name}`;
    if (typeof entry.resourceClaimName === "string") {
      const claim = this.api.get(namespace, entry.resourceClaimName);
      if (claim) return claim;
      throw new Error(`${at}: there is no ResourceClaim ${namespace}/${entry.resourceClaimName}`);
    }
    const template = templates.get(`${namespace}/${entry.resourceClaimTemplateName}`);
    if (!template) {
      const wanted = `${namespace}/${entry.resourceClaimTemplateName}`;
      throw new Error(`${at}: there is no ResourceClaimTemplate ${wanted}`);
    }
    const owner = { apiVersion: "v1", kind: "Pod", name, uid: pod.uid, controller: true };
    return this.#store({
      apiVersion: template.apiVersion,
      kind: "ResourceClaim",
      metadata: {
        name: `${name}-${entry.name}-${crypto.randomUUID().slice(0, 5)}`,
        namespace,
        annotations: { "resource.kubernetes.io/pod-claim-name": entry.name },
        ownerReferences: [owner],
      } as Manifest["metadata"],
      spec: (template.spec as Fields | undefined)?.spec,
    }, classes);
  }

  /** Prepares the claims that no other pod uses already: the kubelet does so once a claim. */
  async #prepare(pod: RunningPod, fresh: readonly ClaimRef[]): Promise<void> {
    const { driver, step } = this.#options;
    const { name } = pod.sandbox;
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
      step(`pod ${name}: FailedPrepareDynamicResources: ${problem}`);
      if (attempt === PREPARE_TRIES) throw new Error(`pod ${name}: ${problem}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    pod.stage = "prepared";
  }

  async #createContainer(
    pod: RunningPod,
    { name, cdiDevices }: { readonly name: string; readonly cdiDevices: readonly string[] },
  ): Promise<void> {
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
        this.#options.step(`pod ${pod.sandbox.name}: CreateContainerError: ${problem}`);
        if (pause === undefined) throw new Error(`pod ${pod.sandbox.name}: ${problem}`);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

function key({ namespace = "default", name }: Manifest["metadata"]): string {
  return `${namespace}/${name}`;
}
