import { ReadError, unanswered } from "../cluster/ports.ts";
import type { Answer, DoctorApi } from "../doctor/ports.ts";
import type { KubeConnection, Request } from "./connection.ts";
import { KubeError } from "./error.ts";

/** The API server, as a check-up asks it with a user's own rights. */
export class KubeDoctorApi implements DoctorApi {
  readonly #connection: KubeConnection;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
  }

  get(path: string, signal: AbortSignal): Promise<Answer> {
    return this.#read(
      { method: "GET", path, signal },
      async (request) => {
        const answer = await this.#connection.answer(request);
        this.#assertObject(request, answer.body);
        return answer;
      },
    );
  }

  text(path: string, signal: AbortSignal): Promise<string> {
    return this.#read({ method: "GET", path, signal }, (request) => this.#connection.text(request));
  }

  review(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#read(
      { method: "POST", path, body, signal },
      async (request) => {
        const body = await this.#connection.request(request);
        this.#assertObject(request, body);
        return body;
      },
    );
  }

  #assertObject({ path }: Request, body: unknown): void {
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return;
    throw new ReadError(
      "failed",
      `cannot read ${path}: the answer is not an object: is ${this.#connection.server} an API server?`,
    );
  }

  async #read<T>(request: Request, ask: (request: Request) => Promise<T>): Promise<T> {
    try {
      return await ask(request);
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      throw this.#problem(request, error);
    }
  }

  #problem({ method, path }: Request, error: KubeError): ReadError {
    const { status, problem } = error;
    const { server } = this.#connection;
    const [plain = path] = path.split("?");
    const as = { cause: error };
    switch (status) {
      case undefined:
        return unanswered(problem, as);
      case 401:
        return new ReadError(
          "unauthorized",
          `${server} does not accept the credentials of the kubeconfig: ${problem}`,
          as,
        );
      case 403: {
        const what = method === "POST" ? `create ${plain.split("/").at(-1)}` : `read ${plain}`;
        return new ReadError("forbidden", `you have no right to ${what} (${problem})`, as);
      }
      case 404:
        return new ReadError("not-served", `${server} does not serve ${plain}: ${problem}`, as);
      default:
        return new ReadError("failed", `cannot read ${plain}: ${error.message}`, as);
    }
  }
}
