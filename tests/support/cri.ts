import { create } from "@bufbuild/protobuf";
import {
  ImageService,
  NamespaceMode,
  PodSandboxState,
  PullImageRequestSchema,
  RuntimeService,
} from "../../proto/gen/cri/cri_pb.ts";
import { GrpcClient } from "../../mod/grpc/client.ts";

export interface PodOptions {
  readonly name: string;
  readonly uid: string;
  readonly namespace?: string;
  readonly attempt?: number;
  readonly hostNetwork?: boolean;
}

export interface ContainerOptions {
  readonly name?: string;
  readonly cdiDevices?: readonly string[];
}

/** Operations of the runtime take this at most, in milliseconds. */
const TIMEOUT = 60_000;
/** The kubelet's pauses between its tries to create a container; the later ones made short. */
const CREATE_PAUSES = [400, 600, 1000, 1500, 2500, 4000];

/** Drives a container runtime as the kubelet does. Rejections carry the runtime's message. */
export class Cri {
  readonly #client: GrpcClient;
  readonly #cgroupParent: string;
  readonly #image: string;

  constructor(socket: string, options: { readonly cgroupParent: string; readonly image: string }) {
    this.#client = new GrpcClient(socket);
    this.#cgroupParent = options.cgroupParent;
    this.#image = options.image;
  }

  close(): void {
    this.#client.destroy();
  }

  async version(): Promise<string> {
    const { runtimeName, runtimeVersion } = await this.#call("version", {});
    return `${runtimeName} ${runtimeVersion}`;
  }

  /** The networks that new pods get, as the runtime shows its CNI configuration. */
  async networks(): Promise<string> {
    const { info } = await this.#call("status", { verbose: true });
    return info.cniconfig ?? info.config ?? "";
  }

  /** Pulls the image of its containers. */
  async pullImage(): Promise<void> {
    const request = create(PullImageRequestSchema, { image: { image: this.#image } });
    await this.#client.call(ImageService.method.pullImage, request, { timeout: TIMEOUT });
  }

  /** The sandbox's id. */
  async runPodSandbox(pod: PodOptions): Promise<string> {
    const { podSandboxId } = await this.#call("runPodSandbox", { config: this.#config(pod) });
    return podSandboxId;
  }

  async stopPodSandbox(podSandboxId: string): Promise<void> {
    await this.#call("stopPodSandbox", { podSandboxId });
  }

  async removePodSandbox(podSandboxId: string): Promise<void> {
    await this.#call("removePodSandbox", { podSandboxId });
  }

  /** Removes those that have stopped. */
  async removeStoppedSandboxes(): Promise<void> {
    for (const { id, state } of (await this.#call("listPodSandbox", {})).items) {
      if (state === PodSandboxState.SANDBOX_NOTREADY) await this.removePodSandbox(id);
    }
  }

  /** The id of the sandbox in which a container runs. */
  async sandboxOf(containerId: string): Promise<string> {
    const { containers } = await this.#call("listContainers", {});
    const found = containers.find(({ id }) => id === containerId);
    if (!found) throw new Error(`there is no container ${containerId}`);
    return found.podSandboxId;
  }

  /** Ends it where it runs. */
  async removeContainer(containerId: string): Promise<void> {
    await this.#call("removeContainer", { containerId });
  }

  /** Creates and starts a container that waits; one that does not start is removed. Its id. */
  async runContainer(
    podSandboxId: string,
    pod: PodOptions,
    options: ContainerOptions = {},
  ): Promise<string> {
    const containerId = await this.createContainer(podSandboxId, pod, options);
    try {
      await this.startContainer(containerId);
    } catch (error) {
      // Its name is taken until then.
      await this.removeContainer(containerId).catch(() => {});
      throw error;
    }
    return containerId;
  }

  /** The container's id. */
  async createContainer(
    podSandboxId: string,
    pod: PodOptions,
    { name = "main", cdiDevices = [] }: ContainerOptions = {},
  ): Promise<string> {
    const { containerId } = await this.#call("createContainer", {
      podSandboxId,
      sandboxConfig: this.#config(pod),
      config: {
        metadata: { name, attempt: pod.attempt ?? 0 },
        image: { image: this.#image, userSpecifiedImage: this.#image },
        command: ["/bin/sh", "-c", "trap exit TERM; sleep 1000000 & wait"],
        logPath: "",
        linux: { securityContext: { namespaceOptions: namespacesOf(pod) } },
        cdiDevices: cdiDevices.map((device) => ({ name: device })),
      },
    });
    return containerId;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#call("startContainer", { containerId });
  }

  /** As runContainer(), again and again as the kubelet does it. Notes each refusal. */
  async runContainerAtLast(
    podSandboxId: string,
    pod: PodOptions,
    options: ContainerOptions & { readonly refusals?: string[] } = {},
  ): Promise<string> {
    for (const pause of CREATE_PAUSES) {
      try {
        return await this.runContainer(podSandboxId, pod, options);
      } catch (error) {
        options.refusals?.push((error as Error).message);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    return await this.runContainer(podSandboxId, pod, options);
  }

  /** What a command printed inside; rejects when it fails. */
  async exec(containerId: string, ...cmd: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.outcome(containerId, ...cmd);
    if (code !== 0) throw new Error(`${cmd.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** The same, whatever its exit code is. */
  async outcome(
    containerId: string,
    ...cmd: string[]
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    const { stdout, stderr, exitCode } = await this.#call("execSync", {
      containerId,
      cmd,
      timeout: 10n,
    });
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code: exitCode, stdout: text(stdout), stderr: text(stderr) };
  }

  #config(pod: PodOptions) {
    const { name, uid, namespace = "default", attempt = 0 } = pod;
    return {
      metadata: { name, uid, namespace, attempt },
      logDirectory: "",
      linux: {
        cgroupParent: this.#cgroupParent,
        securityContext: { namespaceOptions: namespacesOf(pod) },
      },
    };
  }

  // deno-lint-ignore no-explicit-any -- requests are checked by the encoder
  async #call<M extends keyof typeof RuntimeService.method>(method: M, request: any) {
    return await this.#client.call(RuntimeService.method[method], request, { timeout: TIMEOUT });
  }
}

function namespacesOf({ hostNetwork }: PodOptions) {
  return {
    network: hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD,
    pid: NamespaceMode.CONTAINER,
  };
}
