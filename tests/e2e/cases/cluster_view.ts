/** The commands for the whole cluster, as its administrator runs them. */
import assert from "node:assert/strict";
import { cli, type CliOutcome } from "../../support/cli.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import type { Case, Space } from "../space.ts";

async function view(space: Space, ...words: string[]): Promise<CliOutcome> {
  return await cli([...words, "--kubeconfig", await space.cluster.adminKubeconfig()]);
}

/** What `explain` says of a pod. */
async function explain(space: Space, name: string): Promise<CliOutcome> {
  return await view(space, "explain", `pod/${name}`, "--namespace", space.namespace);
}

export const CLUSTER_VIEW: Readonly<Record<string, Case>> = {
  "the cluster's commands show a healthy pod and name the faults of broken ones": async (space) => {
    const { namespace } = space;
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1 }]),
      pod("healthy", { claims: ["lan"], node: NODE }),
      claim("nosuch", [{ name: "lan", type: "late", subnet: 1 }]),
      pod("no-plugin", { claims: ["nosuch"], node: SECOND_NODE }),
      claim("refused", [{ name: "lan", subnet: 1, config: { master: "lo" } }]),
      pod("refused", { claims: ["refused"], node: SECOND_NODE }),
    );
    await space.running("healthy");
    await space.assertEvent("no-plugin", /FailedPrepareDynamicResources: .*"late"/);
    await space.assertEvent("refused", /NetworkRefusedByPolicy/);

    const well = await explain(space, "healthy");
    assert.equal(well.code, 0, well.stdout + well.stderr);
    assert.match(well.stdout, /✓ status +Ready: net1 10\.10\.1\.\d+\/24 /);
    const missing = await explain(space, "no-plugin");
    assert.equal(missing.code, 3, missing.stdout + missing.stderr);
    assert.match(missing.stdout, /: hangs at prepare$/m);
    assert.match(missing.stdout, /cause: +a CNI plugin is missing on the node$/m);
    assert.match(missing.stdout, /said: +kubelet: FailedPrepare.* plugin type="late"/);
    const refused = await explain(space, "refused");
    assert.match(refused.stdout, /cause: +the administrator's policy does not allow/);

    const status = await view(space, "cluster-status");
    assert.equal(status.code, 3, status.stdout + status.stderr);
    assert.match(
      status.stdout,
      new RegExp(`✗ claim ${namespace}/nosuch: .* on node ${SECOND_NODE}`),
    );
    assert.match(status.stdout, /^Agents: +2 of 2 ready/m);
    const pods = await view(space, "pods", "--namespace", namespace);
    assert.match(
      pods.stdout,
      new RegExp(`^healthy +${NODE} .* 10\\.10\\.1\\.\\d+/24 +attached`, "m"),
    );
    assert.match(pods.stdout, new RegExp(`^no-plugin +${SECOND_NODE} .* failed`, "m"));
    const devices = await view(space, "devices", "--output", "json");
    const { items } = JSON.parse(devices.stdout);
    assert.deepEqual(
      new Set(items.map(({ node }: { node: string }) => node)),
      new Set([NODE, SECOND_NODE]),
    );
  },
};
