import assert from "node:assert/strict";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { systemClock } from "../async/clock.ts";
import type { AskedNetwork } from "../claim/parameters.ts";
import { KubeConnection } from "../kube/connection.ts";
import { DEFINITION_API } from "../networks/definition.ts";
import { NETWORK_API } from "../networks/network_object.ts";
import { SimulatedApiServer } from "../simulator/api_server.ts";
import { networkSources } from "./network_sources.ts";
import { parseRunConfig } from "./run_config.ts";

const NETWORKS = `/apis/${NETWORK_API}/networks`;
const DEFINITIONS = `/apis/${DEFINITION_API}/network-attachment-definitions`;
const NAMESPACES = "/api/v1/namespaces";

const config = { cniVersion: "1.0.0", type: "macvlan" };
const network = (name: string, spec: Record<string, unknown> = {}) => ({
  metadata: { name },
  spec: { config, ...spec },
});

Deno.test("the agent's networks follow the API server, and whoever reads them asks it nothing", async () => {
  const api = new SimulatedApiServer();
  const asked: string[] = [];
  api.fault = (request) => {
    const url = new URL(request.url);
    asked.push(url.pathname + (url.searchParams.has("watch") ? " watch" : ""));
    return undefined;
  };
  api.start();
  api.objects.put(NETWORKS, network("lan"));
  api.objects.put(NAMESPACES, { metadata: { name: "shop", labels: { tier: "web" } } });
  api.objects.put(DEFINITIONS, {
    metadata: { namespace: "shop", name: "old" },
    spec: { config: JSON.stringify(config) },
  });
  const kubeconfig = await Deno.makeTempFile();
  await Deno.writeTextFile(kubeconfig, api.kubeconfig());
  const connection = new KubeConnection({ kubeconfig });
  const log = new FakeLog();
  const settings = parseRunConfig(["--network-objects", "--network-attachment-definitions"], {
    env: () => undefined,
    readFile: () => "",
    hostname: () => "node-1",
    cores: 2,
  });
  const { networks, followers } = networkSources(settings, { connection, clock: systemClock, log });
  assert.equal(followers.length, 3);
  const end = new AbortController();
  const limit = AbortSignal.timeout(20_000);
  const running = followers.map(({ run }) => run(end.signal));
  /** What is found, or why nothing is. */
  const find = async (asked: AskedNetwork) => {
    const { networkOf } = await networks.read("shop", limit);
    try {
      const { place, network } = networkOf(asked);
      return `${place}: ${network.plugins[0]!.type}`;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const named = (name: string) => find({ by: "networkName", name });
  const until = async (what: string, read: () => Promise<string>) => {
    while (await read() !== what) await systemClock.sleep(5, limit);
  };
  try {
    assert.equal(await named("lan"), "Network lan: macvlan");
    assert.equal(
      await find({ by: "networkAttachmentDefinition", name: "old" }),
      "NetworkAttachmentDefinition shop/old: macvlan",
    );
    while (asked.filter((path) => path.endsWith(" watch")).length < 2) {
      await systemClock.sleep(5, limit);
    }
    const once = [NETWORKS, `${NETWORKS} watch`, DEFINITIONS, `${DEFINITIONS} watch`];
    assert.deepEqual(asked.toSorted(), once);
    for (let i = 0; i < 50; i++) await named("lan");
    assert.equal(asked.length, 4);
    // The answer's body begins just after.
    await systemClock.sleep(50);
    api.objects.put(NETWORKS, network("lan", { config: { ...config, type: "bridge" } }));
    await until("Network lan: bridge", () => named("lan"));
    api.objects.put(NETWORKS, network("lan", { config: {} }));
    await until(
      'Network lan is not valid: spec.config: must have "plugins" (a network list) or "type" (a single ' +
        "plugin)",
      () => named("lan"),
    );
    const namespaceSelector = { matchLabels: { tier: "web" } };
    api.objects.put(NETWORKS, network("lan", { namespaceSelector }));
    await until("Network lan: macvlan", () => named("lan"));
    assert.ok(asked.includes(NAMESPACES));
    api.objects.delete(NETWORKS, network("lan"));
    await until(
      'there is no network "lan" in files: the agent of this node was started without --network-dir, ' +
        "the folder of the administrator's networks, and the cluster has no Network of that name",
      () => named("lan"),
    );
    assert.equal(asked.filter((path) => path === NETWORKS).length, 1);
  } finally {
    end.abort();
    await Promise.all(running);
    connection.close();
    await api.stop();
    await Deno.remove(kubeconfig);
  }
});
