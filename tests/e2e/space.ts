import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Json, Manifest } from "./api.ts";
import type { Cluster } from "./cluster.ts";
import { until } from "./poll.ts";

/** Objects that are of no namespace. */
const CLUSTER_WIDE = ["DeviceClass", "Network", "NetworkAddress"];
/** What makes pods, those first that make others. */
const MAKERS = ["Deployment", "StatefulSet", "ReplicaSet", "Job"];
/** What else there is of a case. */
const KINDS = ["Pod", "ResourceClaimTemplate", "ResourceClaim"];

export type Case = (space: Space) => Promise<void>;

/** A namespace of the cluster in which a case does what a user does, and looks at what came of it. */
export class Space {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly #clusterWide: { readonly kind: string; readonly name: string }[] = [];

  private constructor(cluster: Cluster, namespace: string) {
    this.cluster = cluster;
    this.namespace = namespace;
  }

  /** Runs a case in a separate namespace; afterwards nothing of it may be left on the node. */
  static async run(
    cluster: Cluster,
    body: Case,
    { namespace = `e2e-${crypto.randomUUID().slice(0, 8)}` } = {},
  ): Promise<void> {
    const space = new Space(cluster, namespace);
    const from = cluster.agent.lines.length;
    await cluster.api.apply({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: space.namespace },
    });
    await until("the namespace can be used", () => space.get("ServiceAccount", "default"));
    try {
      await body(space);
      await space.#close();
      await cluster.assertNothingLeft();
    } catch (cause) {
      const explanation = await space.#explain(from);
      // What cannot be cleared says less than why the case failed.
      await space.#close().catch(() => {});
      throw new Error(`what was to be seen:\n${explanation}`, { cause });
    }
  }

  async apply(...manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) {
      const { kind, metadata } = manifest;
      if (CLUSTER_WIDE.includes(kind)) {
        if (!await this.cluster.api.get({ kind, name: metadata.name })) {
          this.#clusterWide.push({ kind, name: metadata.name });
        }
        await this.cluster.api.apply(manifest);
      } else {
        const namespace = this.namespace;
        await this.cluster.api.apply({ ...manifest, metadata: { ...metadata, namespace } });
      }
    }
  }

  async get(kind: string, name: string): Promise<Json | undefined> {
    return await this.cluster.api.get({ kind, name, namespace: this.namespace });
  }

  async list(kind: string): Promise<Json[]> {
    return await this.cluster.api.list({ kind, namespace: this.namespace });
  }

  /** As `kubectl delete --wait` does. */
  async delete(
    kind: string,
    name: string,
    options: { readonly graceSeconds?: number } = {},
  ): Promise<void> {
    await this.cluster.api.delete({ kind, name, namespace: this.namespace }, options);
    await until(`${kind} ${name} is gone`, async () => {
      return await this.get(kind, name) === undefined || undefined;
    });
  }

  /** The pod, once its containers run. */
  async running(name: string, { limit = 60_000 } = {}): Promise<Json> {
    return await until(`pod ${name} runs`, async () => {
      const pod = await this.get("Pod", name);
      return pod && runs(pod) ? pod : undefined;
    }, { limit, explain: async () => (await this.events(name)).join("\n") });
  }

  /** The pods of the namespace, once there are so many and all run. */
  async allRunning(count: number): Promise<Json[]> {
    return await until(`${count} pods run`, async () => {
      const pods = await this.list("Pod");
      return pods.length === count && pods.every(runs) ? pods : undefined;
    });
  }

  /** `<reason>: <message>` of each event on an object. */
  async events(name: string): Promise<string[]> {
    return (await this.list("Event"))
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  /** `claim <name>: <status>` of each claim. */
  async claimStatuses(): Promise<string[]> {
    return (await this.list("ResourceClaim")).map((claim) =>
      `claim ${claim.metadata.name}: ${JSON.stringify(claim.status)}`
    );
  }

  async assertEvent(name: string, expected: RegExp): Promise<void> {
    await until(`an event on ${name} says ${expected}`, async () => {
      return (await this.events(name)).some((event) => expected.test(event)) || undefined;
    }, { explain: async () => (await this.events(name)).join("\n") });
  }

  /** What a command prints inside a pod. */
  async exec(pod: Json, ...command: string[]): Promise<string> {
    const current = await this.get("Pod", pod.metadata.name);
    return await this.cluster.runtimeOf(current).cri.exec(containerOf(current), ...command);
  }

  /** What an interface inside a pod has: its address, which must be of 10.10.<subnet>.0/24, and MAC. */
  async linkIn(
    pod: Json,
    { link = "net1", subnet }: { readonly link?: string; readonly subnet: number },
  ): Promise<{ readonly address: string; readonly mac: string }> {
    const shown = await this.exec(pod, "ip", "addr", "show", link);
    const address = shown.match(/inet (\S+)/)?.[1] ?? "none";
    assert.match(address, new RegExp(`^10\\.10\\.${subnet}\\.\\d+/24$`), shown);
    return { address, mac: shown.match(/link\/ether (\S+)/)?.[1] ?? "none" };
  }

  /**
   * Holds what a pod sees of an interface against what its claim's status tells of it; gives the
   * interface's address and the status entry.
   *
   * @param claim the name of the claim, where the pod has several
   */
  async assertNetwork(
    pod: Json,
    { link = "net1", subnet, claim = claimsOf(pod)[0] }: {
      readonly link?: string;
      readonly subnet: number;
      readonly claim?: string;
    },
  ): Promise<{ readonly address: string; readonly entry: Json; readonly claim: Json }> {
    const { address, mac } = await this.linkIn(pod, { link, subnet });
    const { found, entry } = await this.#statusOf(claim!, {
      interfaceName: link,
      hardwareAddress: mac,
      ips: [address],
    });
    const keys = ({ driver, pool, device, shareID }: Json) => [driver, pool, device, shareID];
    const results: Json[] = found.status.allocation.devices.results;
    const result = results.find((each) =>
      JSON.stringify(keys(each)) === JSON.stringify(keys(entry))
    );
    assert.ok(result, JSON.stringify(found.status, null, 2));
    // Only containers that name their claims read of them, and only what is the same for all its pods.
    const named = pod.spec.containers[0].resources?.claims?.length > 0;
    if (named && found.status.reservedFor.length === 1) {
      await this.#assertMetadata(pod, { claim: found, request: result.request, entry });
    }
    return { address, entry, claim: found };
  }

  /** The container reads the same of its claim as the status says (KEP-5304). */
  async #assertMetadata(
    pod: Json,
    { claim, request, entry }: {
      readonly claim: Json;
      readonly request: string;
      readonly entry: Json;
    },
  ): Promise<void> {
    const { name, annotations } = claim.metadata;
    const inPod = annotations?.["resource.kubernetes.io/pod-claim-name"];
    const folder = inPod ? `resourceclaimtemplates/${inPod}` : `resourceclaims/${name}`;
    const file = await this.exec(
      pod,
      "cat",
      `/var/run/kubernetes.io/dra-device-attributes/${folder}/${request.split("/")[0]}/` +
        `${entry.driver}-metadata.json`,
    );
    const [newest] = file.split(/^(?=\{)/m);
    const { metadata, requests } = JSON.parse(newest!);
    assert.equal(metadata.uid, claim.metadata.uid);
    const { devices } = requests.find((each: Json) => each.name === request);
    assert.deepEqual(
      devices.find((each: Json) => each.pool === entry.pool && each.name === entry.device)
        ?.networkData,
      entry.networkData,
      file,
    );
  }

  /**
   * The status entries of all claims of a pod, once each is ready, held against what the pod sees.
   * Of a claim with requests for other drivers' devices too, only this driver's are ready.
   */
  async networksOf(pod: Json): Promise<Json[]> {
    const entries = [];
    for (const name of claimsOf(pod)) {
      const explain = async () => JSON.stringify((await this.get("ResourceClaim", name))?.status);
      entries.push(
        ...await until(`the status of claim ${name} is complete`, async () => {
          const { allocation, devices = [] } = (await this.get("ResourceClaim", name)).status;
          return devices.length === allocation.devices.results.length && devices.every(isReady)
            ? devices as Json[]
            : undefined;
        }, { limit: 20_000, explain }),
      );
    }
    for (const { networkData: { interfaceName, hardwareAddress, ips = [] } } of entries) {
      const shown = await this.exec(pod, "ip", "addr", "show", interfaceName);
      for (
        const part of [
          `link/ether ${hardwareAddress} `,
          ...ips.map((each: string) => `${each} `),
        ]
      ) {
        assert.ok(shown.includes(part), `${part}is not in\n${shown}`);
      }
    }
    return entries;
  }

  /** A claim and its status entry with this network data, once it has one that is ready. */
  async #statusOf(name: string, networkData: Json): Promise<{ found: Json; entry: Json }> {
    const explain = async () => JSON.stringify((await this.get("ResourceClaim", name))?.status);
    return await until(
      `the status of claim ${name} is ${JSON.stringify(networkData)}`,
      async () => {
        const found = await this.get("ResourceClaim", name);
        const entry = found?.status?.devices?.find((device: Json) =>
          isDeepStrictEqual(device.networkData, networkData) && isReady(device)
        );
        return entry ? { found, entry } : undefined;
      },
      { limit: 20_000, explain },
    );
  }

  /** Deletes the pods and claims in it, and waits until they are gone. */
  async clear(): Promise<void> {
    const { cluster: { api }, namespace } = this;
    for (const kind of MAKERS) {
      const all = await this.list(kind);
      for (const { metadata: { name } } of all) {
        await api.delete({ kind, name, namespace }, { orphans: true });
      }
      await until(`what is of kind ${kind} is gone`, async () => {
        return all.length === 0 || (await this.list(kind)).length === 0 || undefined;
      });
    }
    for (const kind of KINDS) {
      for (const { metadata: { name } } of await this.list(kind)) {
        // Users' containers often ignore signals: that is not waited for.
        const graceSeconds = kind === "Pod" ? 1 : undefined;
        await api.delete({ kind, name, namespace }, { graceSeconds });
      }
    }
    await until("the pods and claims are gone", async () => {
      const [pods, claims] = await Promise.all([this.list("Pod"), this.list("ResourceClaim")]);
      return pods.length + claims.length === 0 || undefined;
    }, { explain: async () => JSON.stringify(await this.list("Pod"), null, 1) });
  }

  async #close(): Promise<void> {
    await this.clear();
    const { api } = this.cluster;
    for (const each of this.#clusterWide) await api.delete(each);
    await api.delete({ kind: "Namespace", name: this.namespace });
  }

  /** All that helps to tell why a case failed. */
  async #explain(from: number): Promise<string> {
    const events = (await this.list("Event")).map(({ involvedObject, reason, message }) =>
      `${involvedObject.kind} ${involvedObject.name}: ${reason}: ${message}`
    );
    const agent = this.cluster.agent.lines.slice(from).map((line) => JSON.stringify(line));
    return [...events, ...await this.claimStatuses(), ...agent].join("\n");
  }
}

function isReady({ conditions: [condition] }: Json): boolean {
  return condition.type === "Ready" && condition.status === "True";
}

/** Whether a pod's containers run. */
export function runs({ metadata, status }: Json): boolean {
  const containers: Json[] = status.containerStatuses ?? [];
  return metadata.deletionTimestamp === undefined && status.phase === "Running" &&
    containers.length > 0 && containers.every(({ ready }) => ready);
}

/** The id of a pod's first container. */
export function containerOf(pod: Json): string {
  return pod.status.containerStatuses[0].containerID.split("//")[1];
}

/** The names of a pod's claims, those made from templates too. */
export function claimsOf(pod: Json): string[] {
  const made: Json[] = pod.status.resourceClaimStatuses ?? [];
  const asked: Json[] = pod.spec.resourceClaims ?? [];
  return asked.map(({ name, resourceClaimName }) =>
    resourceClaimName ?? made.find((each) => each.name === name)?.resourceClaimName
  );
}
