/** The agent beside Multus, and in its place. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { macvlan } from "../../support/claims.ts";
import { cli } from "../../support/cli.ts";
import { runOn } from "../node_place.ts";
import type { Json, Manifest } from "../api.ts";
import { Multus } from "../multus.ts";
import { claim, deployment, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

const NETWORKS = "k8s.v1.cni.cncf.io/networks";
const STATUS = "k8s.v1.cni.cncf.io/network-status";

function definition(name: string, config: unknown): Manifest {
  return {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { name },
    spec: { config: JSON.stringify(config) },
  };
}

/** A pod, or the template of a workload's pods, that asks Multus for networks. */
function annotated<T extends { readonly metadata?: unknown }>(
  made: T,
  networks: string | readonly unknown[],
): T {
  const value = typeof networks === "string" ? networks : JSON.stringify(networks);
  const metadata = made.metadata as Json;
  return {
    ...made,
    metadata: { ...metadata, annotations: { ...metadata?.annotations, [NETWORKS]: value } },
  };
}

/** A Deployment of one pod, which ends before another one starts. */
function annotatedDeployment(name: string, networks: string | readonly unknown[]): Manifest {
  const made = deployment(name, { replicas: 1 });
  const spec = made.spec as Json;
  const template = annotated(spec.template, networks);
  return { ...made, spec: { ...spec, strategy: { type: "Recreate" }, template } };
}

/** What Multus says that it has given a pod, beside the cluster's own network. */
function toldByMultus({ metadata }: Json): string[] {
  const all: Json[] = JSON.parse(metadata.annotations?.[STATUS] ?? "[]");
  return all.filter((each) => each.default !== true)
    .map((each) => [each.interface, ...each.ips].join(" "));
}

/** The interfaces of `ip addr` with their numbers, MAC addresses and IPv4 addresses. */
function interfacesIn(shown: string): string[] {
  return shown.split(/^(?=\d+: )/m).map((each) => {
    const [, number, name] = /^(\d+): ([^:@]+)/.exec(each)!;
    const parts = [...each.matchAll(/(?:link\/ether|inet) (\S+)/g)].map((found) => found[1]);
    return [number, name, ...parts].join(" ");
  });
}

async function interfacesOf(space: Space, running: Json): Promise<string[]> {
  return interfacesIn(await space.exec(running, "ip", "addr"));
}

/** The same without numbers and MAC addresses, of the pod's further interfaces. */
async function addressesOf(space: Space, running: Json): Promise<string[]> {
  return (await interfacesOf(space, running)).map((each) => each.split(" "))
    .filter(([, name]) => name !== "lo" && name !== "eth0")
    .map(([, name, , ...addresses]) => [name, ...addresses].join(" ")).toSorted();
}

/** The interfaces of the network namespace on the node in which one has an address that begins so. */
async function interfacesAt(space: Space, start: string): Promise<string[]> {
  const { place } = space.cluster.node;
  for await (const { name } of Deno.readDir("/run/netns")) {
    const shown = await runOn(place, "nsenter", `--net=/run/netns/${name}`, "ip", "addr");
    if (shown.includes(`inet ${start}`)) return interfacesIn(shown);
  }
  throw new Error(`no network namespace has an address ${start}`);
}

/** The networks' addresses that host-local has given. */
async function leases(network: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`/var/lib/cni/networks/${network}`));
  return entries.map(({ name }) => name).filter((name) => /^\d/.test(name)).toSorted();
}

/** host-local with one address only: who has it, has the one that was there before. */
function oneAddress(subnet: number) {
  const range = { subnet: `10.10.${subnet}.0/24` };
  const end = `10.10.${subnet}.7`;
  return {
    ipam: { type: "host-local", ranges: [[{ ...range, rangeStart: end, rangeEnd: end }]] },
  };
}

export const MULTUS: Readonly<Record<string, Case>> = {
  "Multus and the agent give the pods of a node interfaces, and leave each other's": (space) =>
    Multus.with(space, async (multus) => {
      const { cluster } = space;
      await space.apply(
        definition("multus-lan", macvlan({ name: "multus-lan", subnet: 41 })),
        annotated(pod("with-multus"), "multus-lan"),
        claim("lan", [{ name: "lan", subnet: 42 }]),
        pod("with-claim", { claims: ["lan"] }),
        claim("beside", [{ name: "beside", subnet: 42, interface: "claim0" }]),
        annotated(pod("with-both", { claims: ["beside"] }), "multus-lan@multus0"),
      );
      const names = ["with-multus", "with-claim", "with-both"];
      const pods: Json[] = [];
      for (const name of names) pods.push(await space.running(name));
      const [withMultus, withClaim, withBoth] = pods;
      await space.linkIn(withMultus, { subnet: 41 });
      await space.assertNetwork(withClaim, { subnet: 42 });
      await space.linkIn(withBoth, { link: "multus0", subnet: 41 });
      await space.assertNetwork(withBoth, { link: "claim0", subnet: 42 });
      const told = pods.map(toldByMultus);
      assert.match(told[0]!.join(), /^net1 10\.10\.41\.\d+$/);
      assert.deepEqual(told[1], []);
      assert.match(told[2]!.join(), /^multus0 10\.10\.41\.\d+$/);
      const look = () => Promise.all(pods.map((each) => interfacesOf(space, each)));
      const before = await look();
      // Each looks through what is there when it starts.
      await cluster.agent.restart("SIGKILL");
      await multus.stop();
      await multus.start();
      assert.deepEqual(await look(), before);
      await space.delete("Pod", "with-both");
      const left = await Promise.all(
        [withMultus, withClaim].map((each) => interfacesOf(space, each)),
      );
      assert.deepEqual(left, before.slice(0, 2));
      assert.equal((await leases("multus-lan")).length, 1);
      assert.equal((await leases("lan")).length, 1);
      // Multus' interfaces go by Multus.
      await space.clear();
      await cluster.assertNothingLeft();
    }),

  "a claim whose interface Multus has named waits, and Multus' interface stays": (space) =>
    Multus.with(space, async () => {
      await space.apply(
        definition("multus-lan", macvlan({ name: "multus-lan", subnet: 41 })),
        claim("lan", [{ name: "lan", subnet: 42 }]),
        annotated(pod("collides", { claims: ["lan"] }), "multus-lan"),
      );
      const said = /the pod already has an interface net1, which this claim did not create/;
      await space.assertEvent("collides", said);
      const before = await interfacesAt(space, "10.10.41.");
      const from = space.cluster.agent.lines.length;
      await until("the agent has tried again", () => {
        const lines = space.cluster.agent.lines.slice(from);
        return Promise.resolve(lines.some((line) => said.test(JSON.stringify(line))) || undefined);
      });
      assert.deepEqual(await interfacesAt(space, "10.10.41."), before);
      assert.deepEqual(await leases("lan").catch(() => []), []);
      await space.delete("Pod", "collides");
      assert.deepEqual(await leases("multus-lan"), []);
      await space.clear();
    }),

  "what migrate writes for a cluster with Multus gives pods the same without it": async (space) => {
    const folder = await Deno.makeTempDir();
    let before: Addresses = {};
    try {
      await Multus.with(space, async () => {
        before = await withMultus(space);
        await migrateTo(space, folder);
        // One at a time, beside the others with Multus.
        const kubectl = (...args: string[]) =>
          space.cluster.kubectl("--namespace", space.namespace, ...args);
        await kubectl(
          ...["apply", "--filename", join(folder, "device-classes.yaml")],
          ...["--filename", join(folder, "claim-templates.yaml")],
        );
        const patch = `patches/deployment-${space.namespace}-web.yaml`;
        await kubectl("patch", "deployment", "web", "--patch-file", join(folder, patch));
        const moved = await podOf(space, "web", ({ spec }) => spec.resourceClaims !== undefined);
        assert.deepEqual(await addressesOf(space, moved), before.web);
        assert.deepEqual(toldByMultus(moved), []);
        for (const name of ["fixed", "db"]) {
          assert.deepEqual(await addressesOf(space, await podOf(space, name)), before[name]);
        }
        await kubectl("delete", "deployment/fixed", "pod/db", "--wait");
        await until("the pod of fixed is gone", async () => {
          return (await space.list("Pod")).length === 1 || undefined;
        });
      });
      await space.cluster.kubectl("apply", "--kustomize", folder);
      for (const name of ["web", "fixed", "db"]) {
        const running = await podOf(space, name);
        assert.deepEqual(await addressesOf(space, running), before[name], name);
        await space.networksOf(running);
      }
    } finally {
      await space.cluster.kubectl(
        ...["delete", "--ignore-not-found", "--filename", join(folder, "device-classes.yaml")],
      ).catch(() => {});
      await Deno.remove(folder, { recursive: true });
    }
  },
};

/** The addresses of the pods of workloads, by the workloads' names. */
type Addresses = Readonly<Record<string, readonly string[]>>;

/** Runs workloads with Multus, as users apply them. */
async function withMultus(space: Space): Promise<Addresses> {
  const { namespace, cluster } = space;
  const manifests = [
    definition("lan", macvlan({ name: "lan", subnet: 43, config: oneAddress(43) })),
    definition("store", {
      // Without a version, results name no interfaces, and then Multus tells of none.
      cniVersion: "0.3.1",
      ...macvlan({ name: "store", subnet: 44 }).plugins[0],
      ...oneAddress(44),
    }),
    definition(
      "fixed",
      macvlan({ name: "fixed", subnet: 45, config: { ipam: { type: "static" } } }),
    ),
    definition("fixed2", {
      cniVersion: "0.3.1",
      type: "macvlan",
      master: "eth0",
      ipam: { type: "static", addresses: [{ address: "10.10.46.6/24" }] },
    }),
    annotatedDeployment("web", [
      { name: "lan", interface: "lan0", "default-route": ["10.10.43.1"] },
    ]),
    annotatedDeployment("fixed", [
      { name: "fixed", ips: ["10.10.45.9/24"], mac: "02:00:00:00:45:09" },
    ]),
    annotated(pod("db"), `${namespace}/store, fixed2@second`),
  ];
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const items = manifests.map(({ metadata, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, namespace },
    }));
    await Deno.writeTextFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    await cluster.kubectl("apply", "--filename", file);
  } finally {
    await Deno.remove(file);
  }
  const found: Record<string, string[]> = {};
  const told: Record<string, string[]> = {};
  for (const name of ["web", "fixed", "db"]) {
    const running = await podOf(space, name);
    found[name] = await addressesOf(space, running);
    told[name] = toldByMultus(running);
  }
  assert.deepEqual(found, {
    web: ["lan0 10.10.43.7/24"],
    fixed: ["net1 10.10.45.9/24"],
    db: ["net1 10.10.44.7/24", "second 10.10.46.6/24"],
  });
  assert.deepEqual(told, {
    web: ["lan0 10.10.43.7"],
    fixed: ["net1 10.10.45.9"],
    db: ["net1 10.10.44.7", "second 10.10.46.6"],
  });
  return found;
}

/** The one pod of a workload, or of that name, once it runs. */
async function podOf(
  space: Space,
  name: string,
  isIt: (pod: Json) => boolean = () => true,
): Promise<Json> {
  const found = await until(`there is a pod of ${name}`, async () => {
    const pods = (await space.list("Pod")).filter(({ metadata }) =>
      (metadata.name === name || metadata.labels?.app === name) && !metadata.deletionTimestamp
    );
    return pods.find(isIt);
  });
  return await space.running(found.metadata.name);
}

async function migrateTo(space: Space, folder: string): Promise<void> {
  const { code, stdout, stderr } = await cli([
    ...["migrate", "--cluster", "--kubeconfig", await space.cluster.adminKubeconfig()],
    ...["--namespace", space.namespace, "--output", folder],
  ]);
  console.log(stdout, stderr);
  assert.equal(code, 3, stdout + stderr);
  assert.match(stdout, /4 of 4 networks and 3 of 3 workloads moved; 0 to leave, /);
}
