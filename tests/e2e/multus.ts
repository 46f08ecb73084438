/** Multus on the node of a cluster, beside the agent. */
import { join } from "node:path";
import { MAIN_NETWORK } from "../support/runtime_daemon.ts";
import type { Json, Manifest } from "./api.ts";
import type { Cluster } from "./cluster.ts";
import { SERVICE } from "./control_plane.ts";
import { Daemon } from "./daemon.ts";
import { fetchMultus } from "./multus_programs.ts";
import { CNI_BIN, FOLDERS, OWN_CNI_BIN } from "./node_place.ts";
import { until } from "./poll.ts";
import type { Space } from "./space.ts";

const NAMESPACE = "kube-system";
const NAME = "multus";
/** What the daemon writes for the runtime; it comes before the cluster's own network by its name. */
const CONFIGURATION = "00-multus.conf";
/** Where programs of a pod find whom they are. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What its installation needs of the cluster. */
const OBJECTS: readonly Manifest[] = [
  {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "network-attachment-definitions.k8s.cni.cncf.io" },
    spec: {
      group: "k8s.cni.cncf.io",
      scope: "Namespaced",
      names: {
        kind: "NetworkAttachmentDefinition",
        plural: "network-attachment-definitions",
        singular: "network-attachment-definition",
        shortNames: ["net-attach-def"],
      },
      versions: [{
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { spec: { type: "object", properties: { config: { type: "string" } } } },
          },
        },
      }],
    },
  },
  { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, namespace: NAMESPACE } },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: NAME },
    rules: [
      { apiGroups: ["k8s.cni.cncf.io"], resources: ["*"], verbs: ["get", "list", "watch"] },
      {
        apiGroups: [""],
        resources: ["pods", "pods/status"],
        verbs: ["get", "list", "watch", "update"],
      },
      {
        apiGroups: ["", "events.k8s.io"],
        resources: ["events"],
        verbs: ["create", "patch", "update"],
      },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: NAME },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: NAME },
    subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
  },
];

/**
 * Multus' thick plugin as the runtime's first network: its daemon is a process of the node, with the
 * rights and the files that a pod of its DaemonSet has.
 */
export class Multus {
  readonly #cluster: Cluster;
  readonly #folder: string;
  readonly #daemon: string;
  #running: Daemon | undefined;

  private constructor(cluster: Cluster, options: { folder: string; daemon: string }) {
    this.#cluster = cluster;
    this.#folder = options.folder;
    this.#daemon = options.daemon;
  }

  /** Installs it for a while; afterwards, nothing of it is left. */
  static async with(space: Space, body: (multus: Multus) => Promise<void>): Promise<void> {
    const { cluster } = space;
    const programs = await fetchMultus();
    if ("missing" in programs) throw new Error(programs.missing);
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const multus = new Multus(cluster, { folder, daemon: programs.daemon });
    await Deno.copyFile(programs.shim, join(OWN_CNI_BIN, "multus-shim"));
    try {
      for (const each of OBJECTS) await cluster.api.apply(each);
      await multus.#giveAccount();
      await multus.#nameMainNetwork();
      await multus.start();
      await body(multus);
    } catch (cause) {
      const seen = [
        `Multus said:\n${await multus.log()}`,
        ...await space.claimStatuses().catch(() => []),
      ];
      // What Multus has attached goes by Multus, or its leases stay for the cases that follow.
      await space.clear().catch(() => {});
      throw new Error(seen.join("\n"), { cause });
    } finally {
      await multus.stop();
      for (const { kind, metadata } of OBJECTS.toReversed()) {
        await cluster.api.delete({ kind, ...metadata });
      }
      await Deno.remove(ACCOUNT, { recursive: true });
      await Deno.remove(join(FOLDERS.leases, NAME), { recursive: true }).catch(() => {});
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Resolves when the runtime calls it for new pods. */
  async start(): Promise<void> {
    const config = join(this.#folder, "daemon-config.json");
    await Deno.writeTextFile(
      config,
      JSON.stringify({
        cniVersion: "0.3.1",
        cniConfigDir: this.#configurations,
        multusAutoconfigDir: this.#configurations,
        multusConfigFile: "auto",
        socketDir: "/run/multus/",
        binDir: CNI_BIN,
        // Multus 4.2.3 forgets the ranges of a network in a file before it deletes an interface of it.
        clusterNetwork: MAIN_NETWORK.name,
        logLevel: "verbose",
        logToStderr: true,
      }),
    );
    this.#running = Daemon.start(NAME, {
      enter: [
        "env",
        `KUBERNETES_SERVICE_HOST=${SERVICE}`,
        "KUBERNETES_SERVICE_PORT=443",
        `MULTUS_NODE_NAME=${this.#cluster.node.name}`,
      ],
      program: this.#daemon,
      args: ["-config", config],
      logs: this.#folder,
    });
    await until("Multus has written its configuration", async () => {
      return await Deno.stat(this.#configuration).then(() => true, () => undefined);
    }, { explain: () => this.log() });
    await this.#used(true);
  }

  /** Removes it from the node: its configuration goes with the daemon. */
  async stop(): Promise<void> {
    await this.#running?.end();
    if (this.#running) await this.#used(false);
    this.#running = undefined;
  }

  /** The last lines of its log. */
  async log(): Promise<string> {
    return await this.#running?.log() ?? "Multus is not running";
  }

  get #configurations(): string {
    return this.#cluster.runtime.paths.cni;
  }

  get #configuration(): string {
    return join(this.#configurations, CONFIGURATION);
  }

  async #used(isUsed: boolean): Promise<void> {
    await until(`the runtime ${isUsed ? "calls" : "no longer calls"} Multus`, async () => {
      const networks = await this.#cluster.runtime.cri.networks();
      return networks.includes("multus-cni-network") === isUsed || undefined;
    }, { explain: () => this.log() });
  }

  /** The cluster's own network as an object. */
  async #nameMainNetwork(): Promise<void> {
    const main = {
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { name: MAIN_NETWORK.name, namespace: NAMESPACE },
      spec: { config: JSON.stringify(MAIN_NETWORK) },
    };
    await until(
      "the kind of definitions is served",
      () => this.#cluster.api.apply(main).catch(() => undefined),
    );
  }

  /** The files that the kubelet gives the pods of a ServiceAccount. */
  async #giveAccount(): Promise<void> {
    const { api } = this.#cluster;
    const { status } = await api.request(
      "POST",
      `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${NAME}/token`,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { expirationSeconds: 3600 },
      },
    );
    const ca: Json = await until(
      "the cluster's certificate is there",
      () => api.get({ kind: "ConfigMap", name: "kube-root-ca.crt", namespace: NAMESPACE }),
    );
    await Deno.mkdir(ACCOUNT, { recursive: true });
    await Deno.writeTextFile(join(ACCOUNT, "token"), status.token);
    await Deno.writeTextFile(join(ACCOUNT, "ca.crt"), ca.data["ca.crt"]);
  }
}
