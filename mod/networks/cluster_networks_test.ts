import assert from "node:assert/strict";
import type { NodeNetworks } from "../agent/model.ts";
import type { AskedNetwork } from "../claim/parameters.ts";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { ClusterNetworks } from "./cluster_networks.ts";
import { type Definition, parseDefinition } from "./definition.ts";
import { type Invalid, readOrInvalid } from "./invalid.ts";
import type { Labels } from "./namespace_selector.ts";
import { type NetworkObject, parseNetwork } from "./network_object.ts";
import type { Known } from "./ports.ts";

const never = new AbortController().signal;

interface World {
  /** Types of plugins, by the network's name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly networks?: Known<NetworkObject | Invalid>;
  readonly definitions?: Known<Definition | Invalid>;
  readonly namespaces?: Known<Labels>;
}

function known<T>(objects: Readonly<Record<string, T>>): Known<T> {
  return { state: "known", objects: new Map(Object.entries(objects)) };
}

/** Networks by their specs. */
function networks(specs: Readonly<Record<string, unknown>>): Known<NetworkObject | Invalid> {
  const read = readOrInvalid(parseNetwork);
  return known(Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, read({ metadata: { name }, spec })]),
  ));
}

/** Definitions by NAMESPACE/NAME, with their configurations. */
function definitions(configs: Readonly<Record<string, string>>): Known<Definition | Invalid> {
  const read = readOrInvalid(parseDefinition);
  return known(Object.fromEntries(
    Object.entries(configs).map(([key, config]) => {
      const [namespace, name] = key.split("/");
      return [key, read({ metadata: { namespace, name }, spec: { config } })];
    }),
  ));
}

async function look(world: World, namespace = "shop") {
  const log = new FakeLog();
  const looked: string[] = [];
  const source = <T>(name: string, what: Known<T> | undefined) => ({
    look: () => {
      looked.push(name);
      return Promise.resolve(what!);
    },
  });
  const files = Object.entries(world.files ?? {});
  const all = new ClusterNetworks({
    files: {
      read: () =>
        Promise.resolve({
          names: files.map(([name]) => name),
          find: (wanted) => {
            const found = files.find(([name]) => name === wanted);
            if (!found) return undefined;
            const [name, type] = found;
            const network = { cniVersion: "1.0.0", name, plugins: [{ type }] };
            return { network, file: `/networks/${name}.conflist` };
          },
          where: "in the files of /networks",
        }),
    },
    ...world.networks && { networks: source("networks", world.networks) },
    ...world.definitions && { definitions: source("definitions", world.definitions) },
    namespaces: source("namespaces", world.namespaces),
    log,
  });
  return { read: await all.read(namespace, never), looked, log, all };
}

const named = ({ networkOf }: NodeNetworks, name: string) => networkOf({ by: "networkName", name });
const defined = ({ networkOf }: NodeNetworks, name: string, namespace?: string) => {
  const asked: AskedNetwork = {
    by: "networkAttachmentDefinition",
    name,
    ...(namespace !== undefined && { namespace }),
  };
  return networkOf(asked);
};

const config = { cniVersion: "1.0.0", type: "macvlan" };

Deno.test("a claim finds Networks, with their interface names", async () => {
  const { read, looked } = await look({
    networks: networks({ lan: { config, interfaceName: "san" } }),
  });
  const { network, place, ifName, form, definition } = named(read, "lan");
  assert.deepEqual([place, ifName, form, definition], ["Network lan", "san", "name", undefined]);
  assert.deepEqual(network.plugins.map(({ type }) => type), ["macvlan"]);
  assert.deepEqual(read.names, ["lan"]);
  assert.deepEqual(looked, ["networks"]);
});

Deno.test("a file of the node replaces the Network of its name as a whole, which is logged once", async () => {
  const spec = {
    config,
    interfaceName: "san",
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } },
  };
  const { read, log, all } = await look({
    files: { lan: "bridge" },
    networks: networks({ lan: spec }),
  });
  const { network, place, ifName } = named(read, "lan");
  assert.deepEqual([place, ifName], ["/networks/lan.conflist", undefined]);
  assert.deepEqual(network.plugins.map(({ type }) => type), ["bridge"]);
  assert.deepEqual(read.names, ["lan"]);
  await all.read("shop", never);
  assert.deepEqual(log.lines, ["info files of this node replace Networks of the cluster"]);
});

Deno.test("a file is found although the API server says nothing of Networks", async () => {
  const states: Known<never>[] = [
    { state: "unreadable", cause: "no answer" },
    { state: "not served" },
  ];
  for (const state of states) {
    const { read } = await look({ files: { lan: "bridge" }, networks: state });
    assert.equal(named(read, "lan").place, "/networks/lan.conflist");
  }
});

const MISSING: readonly (readonly [string, World, RegExp])[] = [
  ["Networks are not read", {}, /^there is no network "wan" in the files of \/networks$/],
  [
    "there is none",
    { networks: networks({ lan: { config } }) },
    /^there is no network "wan" in the files of \/networks, and the cluster has no Network of that name$/,
  ],
  [
    "the cluster does not have the kind",
    { networks: { state: "not served" } },
    /^there is no network "wan" .*, and the cluster does not have the kind Network$/,
  ],
  [
    "the API server does not answer",
    { networks: { state: "unreadable", cause: "no answer from https://api" } },
    /^there is no network "wan" .*the cluster's Networks cannot be read: no answer from https:\/\/api$/,
  ],
  [
    "it is not valid",
    { networks: networks({ wan: { config: {} } }) },
    /^Network wan is not valid: spec\.config: must have "plugins"/,
  ],
];
for (const [what, world, says] of MISSING) {
  Deno.test(`networkName says so where ${what}`, async () => {
    const { read } = await look(world);
    assert.throws(() => named(read, "wan"), { message: says });
  });
}

Deno.test("a Network is only for the namespaces that it selects", async (t) => {
  const byLabel = networks({
    lan: { config, namespaceSelector: { matchLabels: { tier: "web" } } },
  });
  await t.step("selected", async () => {
    const { read, looked } = await look({
      networks: byLabel,
      namespaces: known({ shop: { tier: "web" } }),
    });
    assert.equal(named(read, "lan").place, "Network lan");
    assert.deepEqual(looked, ["networks", "namespaces"]);
  });
  await t.step("not selected", async () => {
    const { read } = await look({ networks: byLabel, namespaces: known({ shop: { tier: "db" } }) });
    assert.throws(() => named(read, "lan"), {
      message:
        "Network lan is not for claims in namespace shop: its namespaceSelector (tier=web) " +
        "does not select the namespace",
    });
  });
  await t.step("a namespace that is not known yet", async () => {
    const { read } = await look({ networks: byLabel, namespaces: known({}) });
    assert.throws(
      () => named(read, "lan"),
      /cannot tell whether .*shop: .* not know the namespace yet/,
    );
  });
  await t.step("labels that cannot be read", async () => {
    const namespaces: Known<Labels> = { state: "unreadable", cause: "no right" };
    const { read } = await look({ networks: byLabel, namespaces });
    assert.throws(() => named(read, "lan"), /cannot tell whether .* for namespace shop: no right$/);
  });
  await t.step("by name, which asks for no labels", async () => {
    const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": "shop" } };
    const { read, looked } = await look({
      networks: networks({ lan: { config, namespaceSelector } }),
    });
    assert.equal(named(read, "lan").place, "Network lan");
    assert.deepEqual(looked, ["networks"]);
  });
});

Deno.test("a claim finds NetworkAttachmentDefinitions of its own namespace and of others", async () => {
  const text = JSON.stringify(config);
  const { read } = await look({
    definitions: definitions({ "shop/lan": text, "infra/san": text }),
  });
  const own = defined(read, "lan");
  assert.deepEqual([own.definition, own.form, own.network.name], ["shop/lan", "single", "lan"]);
  assert.equal(defined(read, "san", "infra").definition, "infra/san");
  // They are not the administrator's: their names are not taken.
  assert.deepEqual(read.names, []);
  assert.throws(() => defined(read, "san"), {
    message: "there is no NetworkAttachmentDefinition shop/san",
  });
});

Deno.test("a definition without a configuration names a file of the node", async () => {
  const { read } = await look({
    files: { lan: "bridge" },
    definitions: definitions({ "shop/lan": "", "shop/wan": "" }),
  });
  const { form, place, definition } = defined(read, "lan");
  assert.deepEqual([form, place, definition], ["name", "/networks/lan.conflist", "shop/lan"]);
  assert.throws(() => defined(read, "wan"), {
    message: "NetworkAttachmentDefinition shop/wan has no spec.config, and there is no network " +
      '"wan" in the files of /networks',
  });
});

const NO_DEFINITION: readonly (readonly [string, World, RegExp])[] = [
  [
    "they are not read",
    {},
    /does not read NetworkAttachmentDefinitions: .* networkAttachmentDefinitions in/,
  ],
  [
    "the cluster does not have them",
    { definitions: { state: "not served" } },
    /does not have the kind/,
  ],
  [
    "they cannot be read",
    { definitions: { state: "unreadable", cause: "no right" } },
    /^NetworkAttachmentDefinition shop\/lan cannot be read: no right$/,
  ],
  [
    "it is not JSON",
    { definitions: definitions({ "shop/lan": "{type: a}" }) },
    /^NetworkAttachmentDefinition shop\/lan is not valid: spec\.config: is not JSON/,
  ],
];
for (const [what, world, says] of NO_DEFINITION) {
  Deno.test(`networkAttachmentDefinition says so where ${what}`, async () => {
    const { read } = await look(world);
    assert.throws(() => defined(read, "lan"), { message: says });
  });
}
