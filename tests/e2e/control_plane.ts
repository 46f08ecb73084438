import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import { ip } from "../../mod/simulator/private_node.ts";
import { Api } from "./api.ts";
import { Authority, type Certificate } from "./certificates.ts";
import { Daemon } from "./daemon.ts";
import type { KubernetesProgram } from "./kubernetes_programs.ts";
import { until } from "./poll.ts";

/**
 * The service of the API server, which each pod is told. Nothing forwards services here: the server's
 * own node has the address. The network of the private node is its own: no port can be taken.
 */
export const SERVICE = "10.96.0.1";
/** The addresses of services. */
export const SERVICES = "10.96.0.0/16";
const SERVER = `https://${SERVICE}:443`;
const ETCD = "http://127.0.0.1:2379";

const ADMIN = "/O=system:masters/CN=admin";

/** Fetches etcd, from the suite that has its current release. */
export async function fetchEtcd(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<string> {
  const cache = cacheFolder();
  const files = await fetchDebianPackage("etcd-server", { suite: "forky", cache, progress });
  return join(files, "usr/bin/etcd");
}

export interface ControlPlaneOptions {
  readonly programs: Readonly<Record<KubernetesProgram, string>>;
  readonly folder: string;
  readonly logs: string;
  /** Further arguments of the API server. */
  readonly apiServerArgs?: readonly string[];
}

/** etcd, API server, controller manager and scheduler. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #authority: Authority;
  readonly #daemons: Daemon[] = [];
  #apiServer: Daemon | undefined;
  #adminKubeconfig: Promise<string> | undefined;
  /** As the cluster's administrator sees it. */
  api!: Api;

  private constructor(options: ControlPlaneOptions, authority: Authority) {
    this.#options = options;
    this.#authority = authority;
  }

  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const authority = await Authority.create(join(options.folder, "pki"));
    const plane = new ControlPlane(options, authority);
    try {
      await plane.#startAll();
      return plane;
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  /** The path of the certificate by which the cluster's servers and users are known. */
  get ca(): string {
    return this.#authority.cert;
  }

  /** The path of the administrator's kubeconfig. */
  adminKubeconfig(): Promise<string> {
    return this.#adminKubeconfig ??= this.kubeconfig("kubectl", ADMIN);
  }

  /** Writes a kubeconfig for a user with a certificate. Its path. */
  async kubeconfig(name: string, subject: string): Promise<string> {
    const { cert, key } = await this.#authority.issue(name, { subject });
    return await this.writeKubeconfig(name, { "client-certificate": cert, "client-key": key });
  }

  /** Writes a kubeconfig for a user with these credentials. Its path. */
  async writeKubeconfig(name: string, user: Readonly<Record<string, string>>): Promise<string> {
    const path = join(this.#options.folder, `${name}.kubeconfig`);
    const cluster = { server: SERVER, "certificate-authority": this.#authority.cert };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "cluster", cluster }],
      users: [{ name: "user", user }],
      contexts: [{ name: "context", context: { cluster: "cluster", user: "user" } }],
      "current-context": "context",
    };
    await Deno.writeTextFile(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  /** The API server as whom the token names sees it. */
  async apiAs(token: string): Promise<Api> {
    return await Api.connect(SERVER, { ca: this.ca, user: { token } });
  }

  /** Runs `body` while the API server takes connections and answers nothing. */
  async whileApiServerHangs(body: () => Promise<void>): Promise<void> {
    this.#apiServer!.pause();
    try {
      await body();
    } finally {
      this.#apiServer!.resume();
    }
  }

  async stop(): Promise<void> {
    this.api?.close();
    for (const daemon of this.#daemons.reverse()) await daemon.end();
  }

  async #startAll(): Promise<void> {
    const { folder } = this.#options;
    this.#start("etcd", await fetchEtcd(), [
      ...["--data-dir", join(folder, "etcd"), "--unsafe-no-fsync"],
      ...["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD],
      ...["--listen-peer-urls", "http://127.0.0.1:2380"],
    ]);
    await ip(["address", "add", `${SERVICE}/32`, "dev", "lo"]);
    const names = [`IP:${SERVICE}`];
    const serving = await this.#authority.issue("apiserver", { subject: "/CN=apiserver", names });
    const user = await this.#authority.issue("admin", { subject: ADMIN });
    const apiServer = this.#apiServer = this.#startApiServer(serving, user);
    this.api = await Api.connect(SERVER, { ca: this.ca, user });
    await until("the API server is ready", async () => {
      if (apiServer.ended) throw new Error(`the API server ended:\n${await apiServer.log()}`);
      return await this.api.ready() || undefined;
    }, { limit: 120_000, explain: () => apiServer.log() });
    const manager = "system:kube-controller-manager";
    this.#start("controller-manager", this.#options.programs["kube-controller-manager"], [
      ...["--kubeconfig", await this.kubeconfig("controller-manager", `/CN=${manager}`)],
      ...["--service-account-private-key-file", this.#authority.tokenKey],
      ...["--root-ca-file", this.ca, "--use-service-account-credentials", "--leader-elect=false"],
      ...["--bind-address", "127.0.0.1"],
    ]);
    this.#start("scheduler", this.#options.programs["kube-scheduler"], [
      ...["--kubeconfig", await this.kubeconfig("scheduler", "/CN=system:kube-scheduler")],
      ...["--leader-elect=false", "--bind-address", "127.0.0.1"],
    ]);
  }

  #startApiServer(serving: Certificate, user: Certificate): Daemon {
    const { tokenKey } = this.#authority;
    return this.#start("apiserver", this.#options.programs["kube-apiserver"], [
      ...[`--etcd-servers=${ETCD}`, "--bind-address=0.0.0.0", "--advertise-address=127.0.0.1"],
      ...["--secure-port=443", "--endpoint-reconciler-type=none"],
      ...[`--tls-cert-file=${serving.cert}`, `--tls-private-key-file=${serving.key}`],
      // For `kubectl exec` and `kubectl logs`.
      ...[`--kubelet-client-certificate=${user.cert}`, `--kubelet-client-key=${user.key}`],
      "--kubelet-preferred-address-types=InternalIP",
      ...[`--client-ca-file=${this.ca}`, "--authorization-mode=Node,RBAC"],
      "--enable-admission-plugins=NodeRestriction",
      ...[
        `--service-account-key-file=${tokenKey}`,
        `--service-account-signing-key-file=${tokenKey}`,
      ],
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-cluster-ip-range=${SERVICES}`,
      // It asks webhooks at the addresses of their pods.
      "--enable-aggregator-routing=true",
      ...this.#options.apiServerArgs ?? [],
    ]);
  }

  #start(name: string, program: string, args: readonly string[]): Daemon {
    const daemon = Daemon.start(name, { program, args, logs: this.#options.logs });
    this.#daemons.push(daemon);
    return daemon;
  }
}
