import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { basename, dirname } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { DRAPlugin as DRAPluginV1 } from "../../proto/gen/dra/dra_v1_pb.ts";
import { DRAPlugin as DRAPluginV1Beta1 } from "../../proto/gen/dra/dra_v1beta1_pb.ts";
import { DRAResourceHealth as HealthV1 } from "../../proto/gen/dra/health_v1_pb.ts";
import { DRAResourceHealth as HealthV1Alpha1 } from "../../proto/gen/dra/health_v1alpha1_pb.ts";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import type { Clock } from "../async/clock.ts";
import type { Log } from "../agent/ports.ts";
import { assertRealFolder, makeOwnFolder } from "../files/own_folder.ts";
import { GrpcServer } from "../grpc/server.ts";
import { type DraHandlers, draService } from "./dra_service.ts";
import { healthService, type HealthSource } from "./health_service.ts";
import { registrationService } from "./registration_service.ts";
import { socketPaths } from "./socket_paths.ts";

/** A call names the claims of one pod, each in less than a kilobyte; in bytes. */
const MESSAGE_LIMIT = 256 * 1024;
/** How often it is looked whether the sockets are still there. */
const WATCH_INTERVAL_MS = 2_000;

export interface DraPluginOptions {
  readonly driver: string;
  /** The kubelet's folder, the same inside and outside the container. */
  readonly kubeletDir: string;
  /** UID of the agent's pod: two agents of a node then have sockets of their own (rolling update). */
  readonly podUid?: string;
  readonly log: Log;
  readonly clock: Clock;
  /** The kubelet said whether it took the plugin; false too when it forgets it, for the registry socket is gone. */
  readonly onRegistered?: (registered: boolean) => void;
}

/**
 * The DRA kubelet plugin: two sockets, one on which the kubelet learns of the driver and one on
 * which it calls it. A socket that someone removed is made again.
 */
export class DraPlugin {
  readonly #options: DraPluginOptions;
  readonly #paths: { readonly service: string; readonly registry: string };
  readonly #service: SocketServer;
  readonly #registry: SocketServer;
  readonly #stop = new AbortController();
  #starting: Promise<void> | undefined;
  #watch: Promise<void> | undefined;

  /** @throws RangeError when a socket's path would be longer than the kernel takes */
  constructor(options: DraPluginOptions, handlers: DraHandlers & HealthSource) {
    this.#options = options;
    this.#paths = socketPaths(options);
    const { signal } = this.#stop;
    const health = healthService(handlers, { log: options.log, signal });
    // The kubelet takes the first version that it knows too.
    const served: [DescService, string, UntypedServiceImplementation][] = [
      [DRAPluginV1, "v1.DRAPlugin", draService(handlers)],
      [DRAPluginV1Beta1, "v1beta1.DRAPlugin", draService(handlers)],
      [HealthV1, "v1.DRAResourceHealth", health],
      [HealthV1Alpha1, "v1alpha1.DRAResourceHealth", health],
    ];
    this.#service = new SocketServer(
      this.#paths.service,
      served.map(([service, , implementation]) => [service, implementation]),
    );
    this.#registry = new SocketServer(this.#paths.registry, [[
      Registration,
      registrationService({
        driver: options.driver,
        endpoint: this.#paths.service,
        versions: served.map(([, version]) => version),
        log: options.log,
        onStatus: (registered) => options.onRegistered?.(registered),
      }),
    ]]);
  }

  /** Resolves when both sockets listen; waits for the kubelet's folder where it is not there yet. */
  start(): Promise<void> {
    return this.#starting = this.#start();
  }

  async #start(): Promise<void> {
    await this.#awaitFolder(dirname(this.#paths.registry));
    await this.#secureFolders();
    // The kubelet calls as soon as it sees the registry socket.
    await this.#service.listen();
    await this.#registry.listen();
    this.#options.log.info("the DRA sockets listen", this.#paths);
    this.#watch = this.#keep();
  }

  /** Ends when the sockets are watched no more. */
  get watching(): Promise<void> {
    return this.#watch ?? Promise.resolve();
  }

  /** The kubelet learns of it first; running calls are answered. */
  async stop(): Promise<void> {
    this.#stop.abort();
    // What it makes meanwhile is closed as well.
    await this.#starting?.catch(() => {});
    await this.#watch;
    await this.#registry.close();
    await this.#service.close();
  }

  /** Whoever could lead them elsewhere would take the kubelet's calls. */
  async #secureFolders(): Promise<void> {
    await Deno.mkdir(dirname(this.#paths.registry), { recursive: true, mode: 0o700 });
    assertRealFolder(dirname(this.#paths.registry));
    await makeOwnFolder(dirname(this.#paths.service));
  }

  async #awaitFolder(folder: string): Promise<void> {
    const { clock, log } = this.#options;
    for (let said = false; !await exists(folder); said = true) {
      if (!said) log.warn("waiting for the kubelet's folder", { folder });
      await clock.sleep(WATCH_INTERVAL_MS, this.#stop.signal);
    }
  }

  async #keep(): Promise<void> {
    const { clock, log, onRegistered } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(WATCH_INTERVAL_MS, this.#stop.signal).catch(() => {});
      if (this.#stop.signal.aborted) return;
      for (const server of [this.#service, this.#registry]) {
        if (await server.present()) continue;
        log.warn("a DRA socket was removed; making it again", { socket: server.path });
        if (server === this.#registry) onRegistered?.(false);
        try {
          await this.#secureFolders();
          await server.listen();
        } catch (error) {
          log.warn("cannot make the DRA socket again yet", {
            socket: server.path,
            error: String(error),
          });
        }
      }
    }
  }
}

/** A gRPC server on a unix socket. */
class SocketServer {
  readonly path: string;
  readonly #services: readonly (readonly [DescService, UntypedServiceImplementation])[];
  #server: GrpcServer | undefined;
  /** Tells the socket file that this server made from one that someone else put in its place. */
  #identity: string | undefined;

  constructor(
    path: string,
    services: readonly (readonly [DescService, UntypedServiceImplementation])[],
  ) {
    this.path = path;
    this.#services = services;
  }

  /** Listens, in place of whatever stood at the path. */
  async listen(): Promise<void> {
    this.#server?.destroy();
    this.#server = undefined;
    await assertSocketOrNothing(this.path);
    const server = new GrpcServer(this.path, this.#services, {
      "grpc.max_receive_message_length": MESSAGE_LIMIT,
    });
    this.#identity = await identity(this.path);
    this.#server = server;
  }

  /** Whether the path still leads to this server. */
  async present(): Promise<boolean> {
    return await identity(this.path) === this.#identity;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    // Another instance may listen there by now; its socket stays.
    if (await this.present()) await Deno.remove(this.path);
    await server.close();
  }
}

async function assertSocketOrNothing(path: string): Promise<void> {
  try {
    const { isSocket } = await Deno.lstat(path);
    if (!isSocket) throw new Error(`${path} is in the way: ${basename(path)} is not a socket`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Inode numbers are used again at once, so the time counts too. Undefined where there is nothing. */
async function identity(path: string): Promise<string | undefined> {
  try {
    const { ino, mtime } = await Deno.lstat(path);
    return `${ino} ${mtime?.getTime()}`;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
