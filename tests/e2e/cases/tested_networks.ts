/** `network-dra test` between two nodes: a network that works, and networks that do not. */
import assert from "node:assert/strict";
import { cli } from "../../support/cli.ts";
import type { Json } from "../api.ts";
import { SECOND_NODE } from "../cluster.ts";
import { runOn } from "../node_place.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

/** Of the first node to the others. */
const ROUTE = "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.10";

interface Tested {
  readonly code: number;
  readonly stderr: string;
  readonly checks: Json[];
}

/** Tests a network as a user does; afterwards nothing of the test is in the cluster. */
async function test({ cluster }: Space, ...flags: readonly string[]): Promise<Tested> {
  const kubeconfig = await cluster.adminKubeconfig();
  const { code, stdout, stderr } = await cli(
    ["test", "--kubeconfig", kubeconfig, "-o", "json", ...flags],
  );
  const left = (await cluster.api.list({ kind: "Namespace" })).map(({ metadata }) => metadata.name)
    .filter((name) => name.startsWith("network-dra-test-"));
  assert.deepEqual(left, [], stderr);
  assert.ok(stdout !== "", stderr);
  const report = JSON.parse(stdout);
  assert.equal(report.state, "judged", stdout + stderr);
  return { code, stderr, checks: report.checks };
}

function shown(checks: readonly Json[], result: string): string[] {
  return checks.filter((check) => check.result === result).map(({ what, from }) =>
    `${what}: ${from.split(" ")[0]}`
  );
}

/** Waits until the node publishes its eth0 with this MTU. */
async function published(space: Space, mtu: number): Promise<void> {
  await until(`node-2 publishes its eth0 with MTU ${mtu}`, async () => {
    const slices = (await space.cluster.slices()).filter(({ spec }) =>
      spec.nodeName === SECOND_NODE
    );
    const [device] = slices.flatMap(({ spec }) => spec.devices).filter(({ attributes }) =>
      attributes.interface?.string === "eth0"
    );
    return device?.attributes.mtu.int === mtu || undefined;
  });
}

export const TESTED_NETWORKS: Readonly<Record<string, Case>> = {
  "test finds a network between two nodes well": async (space) => {
    const { code, checks, stderr } = await test(space);
    assert.deepEqual(shown(checks, "failed"), []);
    assert.deepEqual(shown(checks, "skipped"), []);
    assert.equal(checks.filter(({ what }) => what.endsWith("throughput")).length, 4);
    assert.equal(checks.filter(({ what }) => what === "isolation").length, 4);
    assert.match(stderr, /nothing of the test is left in the cluster/);
    assert.equal(code, 0);
  },

  "test names the MTU that differs between two nodes": async (space) => {
    const [first, second] = space.cluster.nodes;
    const setMtu = async (mtu: number) => {
      // The API server's connections to the second node get by with it; the pods are not told.
      const route = `route replace ${ROUTE} mtu ${mtu}`.split(" ");
      await runOn(first!.place, "ip", ...route);
      await runOn(second!.place, "ip", "link", "set", "eth0", "mtu", `${mtu}`);
    };
    await setMtu(1500);
    try {
      await published(space, 1500);
      const { code, checks } = await test(space);
      assert.deepEqual(shown(checks, "failed"), ["IPv4 path MTU: a", "IPv6 path MTU: a"]);
      const [mtu] = checks.filter(({ result }) => result === "failed");
      assert.match(mtu.figure, /^packets of more than 150[0-4] bytes are lost/);
      assert.match(mtu.whatToDo, /between node-1 and node-2 the same MTU/);
      assert.equal(code, 1);
    } finally {
      await setMtu(9000);
      await published(space, 9000);
    }
  },

  "test names addresses that two nodes give out twice": async (space) => {
    const file = await Deno.makeTempFile({ suffix: ".yaml" });
    try {
      // host-local counts on each node for itself.
      const ipam = { type: "host-local", subnet: "10.10.7.0/24" };
      const config = { cniVersion: "1.0.0", name: "twice", type: "macvlan", master: "eth0", ipam };
      await Deno.writeTextFile(file, JSON.stringify(config));
      const { code, checks } = await test(space, "--config", file);
      const failed = shown(checks, "failed");
      assert.deepEqual(failed, ["addresses differ: a", "IPv4 reach: a", "IPv4 reach: b"]);
      assert.equal(code, 1);
    } finally {
      await Deno.remove(file);
    }
  },
};
