import type { Access, AccessReview } from "../agent/ports.ts";
import type { KubeConnection } from "./connection.ts";

const TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/** Asks the API server whose a token is, and whether that user may get a path, such as `/metrics`. */
export class KubeAccessReview implements AccessReview {
  readonly #connection: KubeConnection;
  readonly #path: string;

  constructor(connection: KubeConnection, { path }: { readonly path: string }) {
    this.#connection = connection;
    this.#path = path;
  }

  /** @throws KubeError when the API server does not answer, or forbids the agent to ask */
  async review(token: string, signal: AbortSignal): Promise<Access> {
    const user = await this.#userOf(token, signal);
    if (!user) return { kind: "unknown" };
    const { status } = await this.#create<AccessStatus>(ACCESS_REVIEWS, {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        nonResourceAttributes: { path: this.#path, verb: "get" },
      },
    }, signal);
    if (status?.allowed === true) return { kind: "allowed" };
    return { kind: "forbidden", user: user.username };
  }

  async #userOf(token: string, signal: AbortSignal): Promise<User | undefined> {
    const { status } = await this.#create<TokenStatus>(TOKEN_REVIEWS, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token },
    }, signal);
    const user = status?.authenticated === true ? status.user : undefined;
    return user && typeof user.username === "string" ? user : undefined;
  }

  async #create<S>(
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ readonly status?: S }> {
    const answer = await this.#connection.request({ method: "POST", path, body, signal });
    return (answer ?? {}) as { readonly status?: S };
  }
}

interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}
interface TokenStatus {
  readonly authenticated?: boolean;
  readonly user?: User;
}
interface AccessStatus {
  readonly allowed?: boolean;
}
