/** What administrators say of claims, with the agent, its configuration file and real plugins. */
import assert from "node:assert/strict";
import { type Asked, AttackBench, type Seen } from "../support/attack_bench.ts";

const own = { apiVersion: "dra.networking/v1alpha1", kind: "Network", interfaceName: "net1" };

const storage = {
  cniVersion: "1.0.0",
  name: "storage",
  plugins: [{
    type: "macvlan",
    master: "eth9",
    capabilities: { ips: true },
    ipam: { type: "static" },
  }],
};

const macvlan = (name: string, more: Record<string, unknown> = {}): Asked => ({
  device: "cni",
  parameters: {
    ...own,
    config: {
      cniVersion: "1.0.0",
      name,
      type: "macvlan",
      master: "eth0",
      ipam: { type: "host-local", subnet: "10.78.0.0/24" },
      ...more,
    },
  },
});

const named = (networkName: string, ips: string[]): Asked => ({
  device: "cni",
  parameters: { ...own, networkName, capabilities: { ips } },
});

const addressOf = ({ pod }: Seen) =>
  pod.find(({ ifname }) => ifname === "net1")?.addr_info.find(
    ({ family }: { family: string }) => family === "inet",
  )?.local;

Deno.test("claims that may only name networks", async (t) => {
  await using bench = await AttackBench.start({
    inline: false,
    networks: ["storage"],
    namespaces: [{ names: ["infra-*"], inline: true, networks: ["*"] }],
  }, [storage, { ...storage, name: "backup" }]);
  await bench.renew();

  await t.step("get the administrator's network, on an interface kept from claims", async () => {
    await bench.run(named("storage", ["10.78.0.7/24"]), (seen) => {
      assert.equal(seen.failure, undefined);
      assert.equal(addressOf(seen), "10.78.0.7");
      return Promise.resolve();
    });
  });

  const refused: Record<string, { asked: Asked; says: RegExp }> = {
    "no network that is not open to them": {
      asked: named("backup", []),
      says: /networkName: refused by policy: .*"backup" .* policy\.networks in/,
    },
    "no network that is not there": {
      asked: named("other", []),
      says: /networkName: there is no network "other" in the files of /,
    },
    "no configuration of their own": {
      asked: macvlan("lan"),
      says: /parameters\.config: refused by policy: .* policy\.inline in/,
    },
    "no address of the node": {
      asked: named("storage", ["192.0.2.10/24"]),
      says: /capabilities\.ips\[0\]: refused by policy: .*the node's own address/,
    },
  };
  for (const [name, { asked, says }] of Object.entries(refused)) {
    await t.step(name, async () => assert.match((await bench.prepare(asked)).error, says));
  }

  await t.step("but in other namespaces they may do otherwise", async () => {
    const namespace = "infra-1";
    for (const asked of [macvlan("lan"), named("backup", ["10.78.0.8/24"])]) {
      await bench.run({ ...asked, namespace }, (seen) => {
        assert.equal(seen.failure, undefined);
        return Promise.resolve();
      });
    }
    const { error } = await bench.prepare({ ...macvlan("storage"), namespace });
    assert.match(
      error,
      /config\.name: refused by policy: "storage" is the name of another network/,
    );
  });
});

Deno.test("a policy that came later holds for a claim that is prepared again; what is attached stays", async () => {
  await using bench = await AttackBench.start({ plugins: { macvlan: { mode: true } } });
  await bench.renew();
  await bench.run(macvlan("lan", { mode: "passthru" }), async (seen) => {
    assert.equal(seen.failure, undefined);
    await bench.startAgent({});
    assert.match(await bench.prepareAgain(seen.ref), /config\.mode: refused by policy: "passthru"/);
    await bench.told([`ResourceClaim/${seen.ref.name}`]);
    const { links } = await bench.state();
    assert.equal(links.eth0!.promiscuity, 1, "the pod still has its network");
    await bench.startAgent({ trustClaims: true });
    assert.equal(await bench.prepareAgain(seen.ref), "");
  });
  const { links } = await bench.state();
  assert.equal(links.eth0!.promiscuity, 0);
});
