/** The check-up of a cluster, as its administrator runs it. */
import assert from "node:assert/strict";
import { cli, type CliOutcome } from "../../support/cli.ts";
import { agentOf } from "../agents/daemonset_agent.ts";
import { NAMESPACE } from "../chart.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { FOLDERS } from "../node_place.ts";
import { claim, pod } from "../objects.ts";
import type { Case, Space } from "../space.ts";

interface Finding {
  readonly level: string;
  readonly where: string;
  readonly what: string;
}

interface Report {
  readonly mode: string;
  readonly checks: readonly {
    readonly check: string;
    readonly findings: readonly Finding[];
    readonly unknown: readonly { readonly what: string; readonly why: string }[];
  }[];
}

async function doctor(space: Space, ...words: string[]): Promise<CliOutcome> {
  const kubeconfig = await space.cluster.adminKubeconfig();
  return await cli(["doctor", ...words, "--kubeconfig", kubeconfig]);
}

async function report(space: Space, ...words: string[]): Promise<Report> {
  const { stdout, stderr } = await doctor(space, "--output", "json", ...words);
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

const found = ({ checks }: Report, name: string) => checks.find(({ check }) => check === name)!;

export const DOCTOR: Readonly<Record<string, Case>> = {
  "doctor finds the cluster well and names the faults of broken claims": async (space) => {
    const { namespace } = space;
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1 }]),
      pod("healthy", { claims: ["lan"], node: NODE }),
    );
    await space.running("healthy");
    const well = await report(space);
    assert.equal(well.mode, "check-up");
    // What does not depend on other cases that run beside this one.
    for (const name of ["api", "rights", "admission", "runtimes", "clocks"]) {
      const { findings, unknown } = found(well, name);
      assert.deepEqual(findings.filter(({ level }) => level !== "note"), [], name);
      assert.deepEqual(unknown, [], name);
    }
    // Every agent has told its status over the real exec.
    assert.deepEqual(found(well, "agents").unknown, []);
    assert.deepEqual(found(well, "policy").unknown, []);
    const records = found(well, "records").findings.map(({ what }) => what);
    assert.ok(!records.some((what) => what.includes(`${namespace}/`)), records.join("\n"));

    await space.apply(
      claim("nosuch", [{ name: "lan", type: "late", subnet: 1 }]),
      pod("no-plugin", { claims: ["nosuch"], node: SECOND_NODE }),
    );
    await space.assertEvent("no-plugin", /FailedPrepareDynamicResources: .*"late"/);
    const { code, stdout } = await doctor(space, "--node", SECOND_NODE);
    assert.equal(code, 3, stdout);
    assert.match(stdout, new RegExp(`✗ claim ${namespace}/nosuch: .*a CNI plugin is missing`));
    const other = await report(space, "--node", NODE);
    const where = found(other, "claims").findings.map((each) => each.where);
    assert.ok(!where.includes(`claim ${namespace}/nosuch`), where.join("\n"));
  },

  "doctor and status find an address that is held for nobody": async (space) => {
    const { cluster, namespace } = space;
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1 }]),
      pod("healthy", { claims: ["lan"], node: NODE }),
    );
    await space.running("healthy");
    const lease = `${cluster.node.place.root}${FOLDERS.leases}/networks/lan/10.10.1.77`;
    const held = async () =>
      found(await report(space, "--node", NODE), "records").findings
        .filter(({ what }) => what.includes("10.10.1.77"));
    assert.deepEqual(await held(), []);
    await Deno.writeTextFile(lease, "gone\r\nnet1");
    try {
      const [finding] = await held();
      assert.equal(finding?.where, `node ${NODE}`);
      assert.match(
        finding!.what,
        /network "lan" for the sandbox gone, which the agent does not know/,
      );
      const [agent] = (await agentOf(cluster).pods()).filter(({ spec }) => spec.nodeName === NODE);
      const status = ["/network-dra", "status", `${namespace}/healthy`];
      await assert.rejects(
        cluster.kubectl("exec", "-n", NAMESPACE, agent!.metadata.name, "--", ...status),
        /network lan: the\s+address\s+10\.10\.1\.77\s+is\s+held\s+for\s+the\s+sandbox\s+gone[^]*exit code 3/,
      );
    } finally {
      await Deno.remove(lease);
    }
    assert.deepEqual(await held(), []);
  },
};
