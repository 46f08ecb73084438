import type { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { failure } from "../../mod/simulator/failure.ts";

const ANSWERS = {
  conflict: () => failure(409, "Conflict", "the object has been modified; please apply again"),
  throttled: () => failure(429, "TooManyRequests", "too many requests, please try again later"),
  fails: () => failure(500, "InternalError", "etcdserver: leader changed"),
  unauthorized: () => failure(401, "Unauthorized", "the token has expired"),
} as const;
export type ApiAnswer = keyof typeof ANSWERS;

/** Faults of the simulated API server: answers that come instead of the right one, slowness, absence. */
export class ApiFaults {
  readonly #api: SimulatedApiServer;
  readonly #port: number;
  #answers: ApiAnswer[] = [];
  #delay = 0;
  #up: Promise<void> = Promise.resolve();

  /** @param instead what a request gets when no other fault answers it */
  constructor(
    api: SimulatedApiServer,
    instead: (request: Request) => Promise<Response | undefined>,
  ) {
    this.#api = api;
    this.#port = Number(new URL(api.url).port);
    api.fault = async (request) => {
      if (this.#delay > 0) await pause(this.#delay);
      const answer = this.#answers.shift();
      return answer ? ANSWERS[answer]() : await instead(request);
    };
  }

  /** The next requests get that answer. */
  answer(answer: ApiAnswer, times: number): void {
    for (let i = 0; i < times; i++) this.#answers.push(answer);
  }

  async slow(delay: number, lasts: number): Promise<void> {
    this.#delay = delay;
    await pause(lasts);
    this.#delay = 0;
  }

  /** Connections are refused for a while. */
  async down(lasts: number): Promise<void> {
    const before = this.#up;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#up = promise;
    await before;
    await this.#api.stop();
    await pause(lasts);
    this.#api.start({ port: this.#port });
    resolve();
  }

  end(): void {
    this.#answers = [];
    this.#delay = 0;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
