import type { Clock } from "../../mod/async/clock.ts";
import { networkNamespace, type NriHandlers } from "../../mod/nri/events.ts";
import { NriPlugin } from "../../mod/nri/plugin.ts";
import type { Container, PodSandbox } from "../../proto/gen/nri/nri_pb.ts";
import { FakeLog } from "./agent_fakes.ts";

/** Real time, but no pause is longer than a few milliseconds. */
export const hastyClock: Clock = {
  now: () => new Date(),
  elapsed: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, Math.min(ms, 20));
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      }, { once: true });
    }),
};

/** Writes down what the runtime tells, and does what `during` says. */
export class Recorder implements NriHandlers {
  readonly events: string[] = [];
  /** What each event was about, as it came. */
  readonly pods: PodSandbox[] = [];
  readonly containers: Container[] = [];
  during: (event: string, signal?: AbortSignal) => void | Promise<void> = () => {};

  #note(event: string, signal?: AbortSignal) {
    this.events.push(event);
    return this.during(event, signal);
  }
  synchronize(pods: PodSandbox[], containers: Container[]) {
    return this.#note(`sync ${pods.map(({ id }) => id)} ${containers.map(({ id }) => id)}`);
  }
  runPodSandbox(pod: PodSandbox) {
    this.pods.push(pod);
    return this.#note(`run ${pod.id} ${networkNamespace(pod)}`);
  }
  stopPodSandbox(pod: PodSandbox) {
    this.pods.push(pod);
    return this.#note(`stop ${pod.id}`);
  }
  removePodSandbox(pod: PodSandbox) {
    this.pods.push(pod);
    return this.#note(`remove ${pod.id}`);
  }
  createContainer(pod: PodSandbox, container: Container, signal: AbortSignal) {
    this.pods.push(pod);
    this.containers.push(container);
    return this.#note(`create ${pod.id} ${container.id}`, signal);
  }
}

/** The plugin `10-net` at a runtime's socket, and what it saw. */
export class RunningPlugin {
  readonly recorder = new Recorder();
  readonly log = new FakeLog();
  /** Each change: whether the plugin is synchronized. */
  readonly states: boolean[] = [];
  readonly #end = new AbortController();
  readonly #running: Promise<void>;
  readonly #waiting = new Set<() => void>();

  constructor(socketPath: string) {
    const { log, states } = this;
    const onState = (state: boolean) => {
      states.push(state);
      this.#waiting.forEach((look) => look());
    };
    const options = { socketPath, name: "net", index: "10", log, clock: hastyClock, onState };
    this.#running = new NriPlugin(options, this.recorder).run(this.#end.signal);
  }

  /** Resolves when the plugin was synchronized this often since its start. */
  async synchronized(times: number): Promise<void> {
    const reached = () => this.states.filter((state) => state).length >= times;
    while (!reached()) {
      await new Promise<void>((resolve) => {
        const look = () => {
          this.#waiting.delete(look);
          resolve();
        };
        this.#waiting.add(look);
      });
    }
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }
}
