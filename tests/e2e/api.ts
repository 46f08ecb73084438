import type { Certificate } from "./certificates.ts";

// deno-lint-ignore no-explicit-any -- objects as the API server gives them
export type Json = any;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Which object, or which kind of objects in a namespace. */
export interface Ref {
  readonly kind: string;
  readonly name?: string;
  readonly namespace?: string;
}

/** Where each kind stands in the API. */
const PATHS: Readonly<Record<string, { readonly api: string; readonly plural: string }>> = {
  Namespace: { api: "/api/v1", plural: "namespaces" },
  Node: { api: "/api/v1", plural: "nodes" },
  Pod: { api: "/api/v1", plural: "pods" },
  Event: { api: "/api/v1", plural: "events" },
  ServiceAccount: { api: "/api/v1", plural: "serviceaccounts" },
  ConfigMap: { api: "/api/v1", plural: "configmaps" },
  Secret: { api: "/api/v1", plural: "secrets" },
  Service: { api: "/api/v1", plural: "services" },
  EndpointSlice: { api: "/apis/discovery.k8s.io/v1", plural: "endpointslices" },
  Lease: { api: "/apis/coordination.k8s.io/v1", plural: "leases" },
  PodDisruptionBudget: { api: "/apis/policy/v1", plural: "poddisruptionbudgets" },
  Role: { api: "/apis/rbac.authorization.k8s.io/v1", plural: "roles" },
  RoleBinding: { api: "/apis/rbac.authorization.k8s.io/v1", plural: "rolebindings" },
  DaemonSet: { api: "/apis/apps/v1", plural: "daemonsets" },
  Deployment: { api: "/apis/apps/v1", plural: "deployments" },
  StatefulSet: { api: "/apis/apps/v1", plural: "statefulsets" },
  ReplicaSet: { api: "/apis/apps/v1", plural: "replicasets" },
  Job: { api: "/apis/batch/v1", plural: "jobs" },
  ClusterRole: { api: "/apis/rbac.authorization.k8s.io/v1", plural: "clusterroles" },
  ClusterRoleBinding: { api: "/apis/rbac.authorization.k8s.io/v1", plural: "clusterrolebindings" },
  ValidatingAdmissionPolicy: {
    api: "/apis/admissionregistration.k8s.io/v1",
    plural: "validatingadmissionpolicies",
  },
  ValidatingAdmissionPolicyBinding: {
    api: "/apis/admissionregistration.k8s.io/v1",
    plural: "validatingadmissionpolicybindings",
  },
  ValidatingWebhookConfiguration: {
    api: "/apis/admissionregistration.k8s.io/v1",
    plural: "validatingwebhookconfigurations",
  },
  CustomResourceDefinition: {
    api: "/apis/apiextensions.k8s.io/v1",
    plural: "customresourcedefinitions",
  },
  NetworkAttachmentDefinition: {
    api: "/apis/k8s.cni.cncf.io/v1",
    plural: "network-attachment-definitions",
  },
  Network: { api: "/apis/dra.networking/v1alpha1", plural: "networks" },
  NetworkAddress: { api: "/apis/dra.networking/v1alpha1", plural: "networkaddresses" },
  DeviceClass: { api: "/apis/resource.k8s.io/v1", plural: "deviceclasses" },
  ResourceClaim: { api: "/apis/resource.k8s.io/v1", plural: "resourceclaims" },
  ResourceClaimTemplate: { api: "/apis/resource.k8s.io/v1", plural: "resourceclaimtemplates" },
  ResourceSlice: { api: "/apis/resource.k8s.io/v1", plural: "resourceslices" },
};

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The API server, as a user of it sees it. */
export class Api {
  readonly #server: string;
  readonly #http: Deno.HttpClient;
  readonly #token: string | undefined;

  private constructor(server: string, http: Deno.HttpClient, token?: string) {
    this.#server = server;
    this.#http = http;
    this.#token = token;
  }

  /** As whom the certificate or the token names. */
  static async connect(
    server: string,
    { ca, user }: {
      readonly ca: string;
      readonly user: Certificate | { readonly token: string };
    },
  ): Promise<Api> {
    const caCerts = [await Deno.readTextFile(ca)];
    if ("token" in user) return new Api(server, Deno.createHttpClient({ caCerts }), user.token);
    const [cert, key] = await Promise.all([user.cert, user.key].map((path) => {
      return Deno.readTextFile(path);
    }));
    return new Api(server, Deno.createHttpClient({ caCerts, cert: cert!, key: key! }));
  }

  close(): void {
    this.#http.close();
  }

  /** Whether it answers and can be used. */
  async ready(): Promise<boolean> {
    try {
      const response = await this.#fetch("GET", "/readyz");
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** undefined where there is none. */
  async get(ref: Ref): Promise<Json | undefined> {
    try {
      return await this.request("GET", pathOf(ref));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list(ref: Omit<Ref, "name">): Promise<Json[]> {
    return (await this.request("GET", pathOf(ref))).items;
  }

  /** The objects as they are, and then as they become, until the signal is aborted. */
  async *watch(ref: Omit<Ref, "name">, signal: AbortSignal): AsyncGenerator<Json> {
    const response = await this.#fetch("GET", `${pathOf(ref)}?watch=1`, { signal });
    let rest = "";
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield JSON.parse(line).object;
    }
  }

  /** As `kubectl apply --server-side` does. */
  async apply(manifest: Manifest): Promise<Json> {
    const { kind, metadata: { name, namespace } } = manifest;
    const path = `${pathOf({ kind, name, namespace })}?fieldManager=e2e&force=true`;
    return await this.request("PATCH", path, manifest, "application/apply-patch+yaml");
  }

  /** As `kubectl delete` does; with 0 seconds, as with --force. It may be gone already. */
  async delete(
    ref: Ref,
    { graceSeconds, orphans = false }: {
      readonly graceSeconds?: number;
      /** Leaves what it owns. */
      readonly orphans?: boolean;
    } = {},
  ): Promise<void> {
    const grace = graceSeconds === undefined ? "" : `gracePeriodSeconds=${graceSeconds}&`;
    const query = `${grace}propagationPolicy=${orphans ? "Orphan" : "Background"}`;
    try {
      await this.request("DELETE", `${pathOf(ref)}?${query}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }

  async request(
    method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE",
    path: string,
    body?: unknown,
    contentType = "application/json",
  ): Promise<Json> {
    const response = await this.#fetch(method, path, { body, contentType });
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    throw new ApiError(response.status, `${method} ${path}: ${response.status}: ${text}`);
  }

  async #fetch(
    method: string,
    path: string,
    { body, contentType, signal }: {
      readonly body?: unknown;
      readonly contentType?: string;
      readonly signal?: AbortSignal;
    } = {},
  ) {
    return await fetch(this.#server + path, {
      method,
      signal,
      client: this.#http,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headers: {
        ...(contentType && { "Content-Type": contentType }),
        ...(this.#token && { "Authorization": `Bearer ${this.#token}` }),
      },
    });
  }
}

function pathOf({ kind, name, namespace }: Ref): string {
  const known = PATHS[kind];
  if (!known) throw new Error(`where ${kind} stands in the API is not known here`);
  const { api, plural } = known;
  const parts = [api, ...(namespace ? ["namespaces", namespace] : []), plural];
  return [...parts, ...(name ? [name] : [])].join("/");
}
