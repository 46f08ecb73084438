import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { dirname } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { DRAPlugin as DRAPluginV1 } from "../../proto/gen/dra/dra_v1_pb.ts";
import { DRAPlugin as DRAPluginV1Beta1 } from "../../proto/gen/dra/dra_v1beta1_pb.ts";
import { DRAResourceHealth as HealthV1 } from "../../proto/gen/dra/health_v1_pb.ts";
import { DRAResourceHealth as HealthV1Alpha1 } from "../../proto/gen/dra/health_v1alpha1_pb.ts";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import type { Lack, Log } from "../agent/ports.ts";
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
/** The kubelet may take so long to register a plugin, or to make its folders, when it starts. */
const USUAL_MS = 15_000;

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
  #registration: RegistrationState = { kind: "not asked for" };
  /** Whether the kubelet is to know the plugin, and call it. */
  #isOffered = true;
  /** What is done with the registry socket, one after the other. */
  #adjusting: Promise<void> = Promise.resolve();
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
        onStatus: (error) => {
          if (!this.#isOffered) return;
          this.#registered(
            error === undefined ? { kind: "registered" } : { kind: "refused", error },
          );
        },
      }),
    ]]);
  }

  /** Why the kubelet does not know the plugin; undefined while it does. */
  lack(): Lack | undefined {
    const folder = dirname(this.#paths.registry);
    switch (this.#registration.kind) {
      case "registered":
      case "withdrawn":
        return undefined;
      case "refused":
        return {
          problem: `the kubelet refused the driver: ${this.#registration.error}`,
          whatToDo: "check the kubelet's log",
        };
      case "stopped":
        return {
          problem: "not registered by the kubelet: the agent is stopping",
          whatToDo: "nothing",
        };
      case "not asked for":
      case "waiting":
        if (!isFolder(folder)) {
          return {
            problem: `the kubelet's folder ${folder} does not exist`,
            whatToDo:
              "start the kubelet, or set --kubelet-dir (the chart's value kubeletDir) to the " +
              "kubelet's --root-dir",
          };
        }
        return this.#registration.kind === "waiting"
          ? {
            problem: `the kubelet has not registered the driver, whose socket is in ${folder}`,
            whatToDo: "start the kubelet; if it runs, check its log, and that " +
              "--kubelet-dir (the chart's value kubeletDir) is its --root-dir",
            usualFor: USUAL_MS,
          }
          : {
            problem:
              "not registered by the kubelet: the agent is waiting for the container runtime first",
            whatToDo: "see NRI",
            usualFor: Infinity,
          };
    }
  }

  /** Resolves when both sockets listen; waits for the kubelet's folder where it is not there yet. */
  start(): Promise<void> {
    return this.#starting = this.#start();
  }

  async #start(): Promise<void> {
    await this.#awaitFolder(dirname(this.#paths.registry));
    // The kubelet calls as soon as it sees the registry socket.
    await this.#listen(this.#service);
    await this.#adjust();
    this.#options.log.info("listening for the kubelet", this.#paths);
    this.#watch = this.#keep();
  }

  /**
   * The kubelet forgets the plugin, and calls another agent of the node that it knows. Calls that it
   * has made go on, and are answered. A kubelet that knows two agents calls the one that registered
   * last, and after its own restart that may be either.
   */
  async withdraw(): Promise<void> {
    this.#isOffered = false;
    await this.#adjustLater();
  }

  /** The kubelet is to know the plugin again. */
  async offer(): Promise<void> {
    this.#isOffered = true;
    await this.#adjustLater();
  }

  /** Where it fails, {@link #keep} tries again. */
  async #adjustLater(): Promise<void> {
    if (this.#watch) await this.#adjust().catch(() => {});
  }

  /** Makes the registry socket, or removes it. */
  #adjust(): Promise<void> {
    return this.#adjusting = this.#adjusting.catch(() => {}).then(async () => {
      if (this.#stop.signal.aborted) return;
      if (!this.#isOffered) {
        this.#registration = { kind: "withdrawn" };
        return await this.#registry.close();
      }
      if (await this.#registry.present()) return;
      // What was not known before is not lost.
      if (this.#registration.kind === "not asked for") this.#registration = { kind: "waiting" };
      else this.#registered({ kind: "waiting" });
      await this.#listen(this.#registry);
    });
  }

  async #listen(server: SocketServer): Promise<void> {
    if (server.isMade) {
      this.#options.log.warn("a DRA socket was removed; recreating it", { socket: server.path });
    }
    await this.#secureFolders();
    await server.listen();
  }

  /** Ends when the sockets are no longer watched. */
  get watching(): Promise<void> {
    return this.#watch ?? Promise.resolve();
  }

  /** The kubelet learns of it first; running calls are answered. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#registered({ kind: "stopped" });
    // What it makes meanwhile is closed as well.
    await this.#starting?.catch(() => {});
    await this.#watch;
    await this.#adjusting.catch(() => {});
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
    while (!isFolder(folder)) {
      await this.#options.clock.sleep(WATCH_INTERVAL_MS, this.#stop.signal);
    }
  }

  #registered(state: RegistrationState): void {
    this.#registration = state;
    this.#options.onRegistered?.(state.kind === "registered");
  }

  async #keep(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(WATCH_INTERVAL_MS, this.#stop.signal).catch(() => {});
      if (this.#stop.signal.aborted) return;
      for (const server of [this.#service, this.#registry]) {
        try {
          if (server === this.#registry) await this.#adjust();
          else if (!await server.present()) await this.#listen(server);
        } catch (error) {
          log.warn("cannot recreate the DRA socket yet", {
            socket: server.path,
            error: errorMessage(error),
          });
        }
      }
    }
  }
}

/** What the kubelet has said of the plugin. */
type RegistrationState =
  | { readonly kind: "not asked for" }
  /** The kubelet can see the registry socket. */
  | { readonly kind: "waiting" }
  | { readonly kind: "registered" }
  | { readonly kind: "refused"; readonly error: string }
  /** Another agent of the node is registered, and leads. */
  | { readonly kind: "withdrawn" }
  | { readonly kind: "stopped" };

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

  /** Whether it listens, at its path or where nobody finds it any more. */
  get isMade(): boolean {
    return this.#server !== undefined;
  }

  /** Whether it listens, and the path still leads to it. */
  async present(): Promise<boolean> {
    return this.#server !== undefined && await identity(this.path) === this.#identity;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    // Another instance may listen there by now; its socket stays.
    if (await this.present()) await Deno.remove(this.path);
    this.#server = undefined;
    await server.close();
  }
}

async function assertSocketOrNothing(path: string): Promise<void> {
  try {
    const { isSocket } = await Deno.lstat(path);
    if (!isSocket) throw new Error(`${path} is not a socket: remove it, the agent needs one there`);
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

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
