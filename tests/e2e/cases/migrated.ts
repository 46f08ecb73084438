/** Pods that leave Multus for claims, by what `network-dra migrate` writes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { macvlan } from "../../support/claims.ts";
import { cli } from "../../support/cli.ts";
import { blocks } from "../../support/documents.ts";
import type { Json, Manifest } from "../api.ts";
import { Multus } from "../multus.ts";
import { annotated, definition, interfacesOf, toldByMultus } from "../multus_pods.ts";
import { deployment, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

export const MIGRATED: Readonly<Record<string, Case>> = {
  "what migrate writes for a cluster with Multus gives pods the same without it": async (space) => {
    const folder = await Deno.makeTempDir();
    const output = join(folder, "migrated");
    const typed = new Typed(space, folder);
    let before: Addresses = {};
    try {
      await Multus.with(space, async () => {
        before = await withMultus(space);
        await typed.address("deployment/web", "lan0");
        await typed.migrate(output);
        // One at a time, beside the others with Multus.
        await typed.kubectl(
          ...["apply", "-f", join(output, "device-classes.yaml")],
          ...["-f", join(output, "claim-templates.yaml")],
        );
        const patch = `patches/deployment-${space.namespace}-web.yaml`;
        await typed.kubectl("patch", "deployment", "web", "--patch-file", join(output, patch));
        const moved = await podOf(space, "web", ({ spec }) => spec.resourceClaims !== undefined);
        await typed.address("deployment/web", "lan0");
        assert.deepEqual(await addressesOf(space, moved), before.web);
        assert.deepEqual(toldByMultus(moved), []);
        for (const name of ["fixed", "db"]) {
          assert.deepEqual(await addressesOf(space, await podOf(space, name)), before[name]);
        }
        await typed.kubectl("delete", "deployment/fixed", "pod/db");
        await until("the pod of fixed is gone", async () => {
          return (await space.list("Pod")).length === 1 || undefined;
        });
      });
      typed.note("Multus has been removed");
      await typed.kubectl("apply", "-k", output);
      for (const name of ["web", "fixed", "db"]) {
        const running = await podOf(space, name);
        assert.deepEqual(await addressesOf(space, running), before[name], name);
        await space.networksOf(running);
      }
      await typed.address("deployment/fixed", "net1");
      await typed.address("pod/db", "second");
      await typed.assertShown();
    } finally {
      await space.cluster.kubectl(
        ...["delete", "--ignore-not-found", "-f", join(output, "device-classes.yaml")],
      ).catch(() => {});
      await Deno.remove(folder, { recursive: true });
    }
  },
};

const PAGE = "docs/how-to/from-multus.md";

/** What a user types and sees, as the how-to shows it. */
class Typed {
  readonly #space: Space;
  readonly #folder: string;
  readonly #lines: string[] = [];

  /** @param folder the user's working folder */
  constructor(space: Space, folder: string) {
    this.#space = space;
    this.#folder = folder;
  }

  note(text: string): void {
    this.#lines.push(`# ${text}`);
  }

  async kubectl(...words: readonly string[]): Promise<void> {
    this.#add(`kubectl ${words.join(" ")}`, await this.#kubectl(words));
  }

  async address(object: string, link: string): Promise<void> {
    const words = ["exec", object, "--", "ip", "addr", "show", link];
    const shown = (await this.#kubectl(words)).split("\n").filter((line) => line.includes("inet "));
    this.#add(`kubectl ${words.join(" ")} | grep "inet "`, shown.join("\n"));
  }

  async migrate(output: string): Promise<void> {
    const { cluster, namespace } = this.#space;
    const words = ["migrate", "--cluster", "-n", namespace, "--output", output];
    const kubeconfig = await cluster.adminKubeconfig();
    const { code, stdout, stderr } = await cli([...words, "--kubeconfig", kubeconfig]);
    assert.equal(code, 3, stdout + stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /4 of 4 networks and 3 of 3 workloads moved; 0 to leave, /);
    this.#add(`network-dra ${words.join(" ")}`, stdout);
  }

  /** The page has all of it as a block, with another namespace. */
  async assertShown(): Promise<void> {
    const text = await Deno.readTextFile(new URL(`../../../${PAGE}`, import.meta.url));
    const typed = this.#lines.join("\n").replaceAll(`${this.#folder}/`, "")
      .replaceAll(this.#space.namespace, "shop");
    const shown = blocks({ path: PAGE, text }).map((each) => each.text);
    const begin = typed.slice(0, typed.indexOf("\n"));
    assert.equal(shown.find((each) => each.startsWith(begin)), `${typed}\n`);
  }

  #kubectl(words: readonly string[]): Promise<string> {
    return this.#space.cluster.kubectl("--namespace", this.#space.namespace, ...words);
  }

  #add(command: string, said: string): void {
    this.#lines.push(`$ ${command}`, said.trimEnd());
  }
}

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

/** A Deployment of one pod, which ends before another one starts. */
function annotatedDeployment(name: string, networks: string | readonly unknown[]): Manifest {
  const made = deployment(name, { replicas: 1 });
  const spec = made.spec as Json;
  const template = annotated(spec.template, networks);
  return { ...made, spec: { ...spec, strategy: { type: "Recreate" }, template } };
}

/** host-local with one address only: who has it, has the one that was there before. */
function oneAddress(subnet: number) {
  const range = { subnet: `10.10.${subnet}.0/24` };
  const end = `10.10.${subnet}.7`;
  return {
    ipam: { type: "host-local", ranges: [[{ ...range, rangeStart: end, rangeEnd: end }]] },
  };
}

/** The same without numbers and MAC addresses, of the pod's further interfaces. */
async function addressesOf(space: Space, running: Json): Promise<string[]> {
  return (await interfacesOf(space, running)).map((each) => each.split(" "))
    .filter(([, name]) => name !== "lo" && name !== "eth0")
    .map(([, name, , ...addresses]) => [name, ...addresses].join(" ")).toSorted();
}
