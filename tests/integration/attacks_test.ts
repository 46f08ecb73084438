/** What a claim may do to the node: by default nothing, and what an administrator lets it. */
import assert from "node:assert/strict";
import { type Asked, AttackBench } from "../support/attack_bench.ts";
import { type Attack, attacks } from "../support/attacks.ts";

const PARAMETERS = "status.allocation.devices.config[0].opaque.parameters";

function asked(
  { device = "cni", network = "attack", plugins, capabilities, interfaceName }: Attack,
) {
  const parameters = {
    apiVersion: "dra.networking/v1alpha1",
    kind: "Network",
    interfaceName: interfaceName ?? "net1",
    config: { cniVersion: "1.0.0", name: network, plugins },
    ...(capabilities && { capabilities }),
  };
  return { device, parameters } satisfies Asked;
}

function nameOf({ plugin, field, name }: Attack): string {
  return `${plugin}: ${field}${name ? ` (${name})` : ""}`;
}

Deno.test("by default every attack is refused, and the node is as it was", async (t) => {
  await using bench = await AttackBench.start({});
  await bench.renew();
  const before = await bench.state();
  for (const attack of attacks(bench.victim)) {
    await t.step(nameOf(attack), async () => {
      const { error, claim, pod } = await bench.prepare(asked(attack));
      const at = `claim tenant/${claim.name}: request net: ${PARAMETERS}.${attack.path}: `;
      assert.ok(error.startsWith(at), `${error}\nis not at ${at}`);
      if (attack.rule) {
        assert.ok(error.startsWith(`${at}refused by policy: `), error);
        assert.ok(
          error.endsWith(
            ` (an administrator can change ${attack.rule} in the agent's configuration file)`,
          ),
          error,
        );
        await bench.told([`ResourceClaim/${claim.name}`, `Pod/${pod.name}`]);
      }
      assert.deepEqual(await bench.state(), before);
    });
  }
});

Deno.test("each attack works where the administrator trusts claims", async (t) => {
  await using bench = await AttackBench.start({ trustClaims: true });
  for (const attack of attacks(bench.victim)) {
    const { gains, notShown } = attack;
    if (!gains) {
      assert.ok(notShown || !attack.rule, `${nameOf(attack)}: neither shown nor said why not`);
      continue;
    }
    await t.step(nameOf(attack), async () => {
      await bench.renew();
      await bench.run(asked(attack), async (seen) => {
        try {
          await gains(seen);
        } catch (error) {
          throw new Error(`${(error as Error).message}; the pod: ${seen.failure ?? "runs"}`);
        }
      });
    });
  }
});

Deno.test("every row of the documentation's table is an attack, and the other way round", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/security.md", import.meta.url));
  const table = text.split("## What claims cannot do")[1]!.split("\n## ")[0]!;
  const rows = table.split("\n").filter((line) => line.startsWith("| ")).slice(1)
    .map((line) => line.split("|").slice(1, 3).map((cell) => cell.replaceAll("`", "").trim()))
    .filter(([plugin]) => !/^-+$/.test(plugin!)).map(([plugin, field]) => `${plugin}: ${field}`);
  const tried = new Set(attacks("/victim").map(({ plugin, field }) => `${plugin}: ${field}`));
  assert.deepEqual(rows.toSorted(), [...tried].toSorted());
});
