import assert from "node:assert/strict";
import { parsePolicy } from "./policy_config.ts";

Deno.test("parsePolicy() reads all that there is", () => {
  const policy = {
    trustClaims: false,
    inline: true,
    networks: ["*"],
    reservedNetworks: ["cbr0"],
    refusedAddresses: ["10.96.0.0/12", "fd00::/8"],
    capabilities: { mac: false, ips: ["10.*"] },
    plugins: {
      portmap: true,
      tap: false,
      vlan: { vlanId: [1, { from: 2, to: 3 }], master: [{ allocated: true }] },
    },
    ipam: { whereabouts: { range: true } },
    namespaces: [{ names: ["a-*"], inline: false }],
  };
  assert.deepEqual(parsePolicy(policy), policy);
  assert.deepEqual(parsePolicy(undefined), {});
  // Of plugins that are not built in, neither the types nor the fields are known.
  const others = { plugins: { vxlan: { vxlanId: [7] }, "*": false, sriov: { vlan: [0] } } };
  assert.deepEqual(parsePolicy(others), others);
});

Deno.test("parsePolicy() names the path of what is wrong", async (t) => {
  const cases: Record<string, { given: unknown; says: RegExp }> = {
    "no object": {
      given: "all",
      says: /^policy: "all" is not valid; must be an object with settings/,
    },
    "an unknown setting": {
      given: { trust: true },
      says: /^policy\.trust: is unknown; must be one of trustClaims, inline, /,
    },
    "text for a truth": {
      given: { inline: "no" },
      says: /^policy\.inline: "no" is not valid; must be true or false/,
    },
    "a plugin's fields": {
      given: { plugins: { macvlan: { master: "eth0" } } },
      says: /^policy\.plugins\.macvlan\.master: "eth0" is not valid; must be true .* list/,
    },
    "a value that cannot be": {
      given: { plugins: { vlan: { vlanId: [{ from: 1 }] } } },
      says: /^policy\.plugins\.vlan\.vlanId\[0\]/,
    },
    "a plugin": {
      given: { plugins: { macvlan: "yes" } },
      says: /^policy\.plugins\.macvlan: "yes" is not valid; must be true \(all fields\)/,
    },
    "a network": {
      given: { refusedAddresses: ["10.0.0.0"] },
      says: /^policy\.refusedAddresses\[0\]: "10\.0\.0\.0" .* such as 10\.96\.0\.0\/12/,
    },
    "a field of a plugin that is not known": {
      given: { plugins: { macvlan: { mster: ["eth1"] } } },
      says:
        /^policy\.plugins\.macvlan\.mster: is unknown; must be one of .*bcqueuelen.* \(did you mean "master"\?\)$/,
    },
    "a field in other letters": {
      given: { plugins: { bridge: { isgateway: true } } },
      says: /^policy\.plugins\.bridge\.isgateway: .*\(did you mean "isGateway"\?\)$/,
    },
    "a field of an IPAM plugin in a namespace": {
      given: { namespaces: [{ names: ["a"], ipam: { "host-local": { subnets: true } } }] },
      says: /^policy\.namespaces\[0\]\.ipam\.host-local\.subnets: .*\(did you mean "subnet"\?\)$/,
    },
    "a capability argument": {
      given: { capabilities: { macs: false } },
      says: /^policy\.capabilities\.macs: is unknown; must be one of .*\(did you mean "mac"\?\)$/,
    },
    "a plugin that is misspelled": {
      given: { plugins: { macvaln: false } },
      says: /^policy\.plugins\.macvaln: is not a known plugin \(did you mean "macvlan"\?\)$/,
    },
    "a setting that is misspelled": {
      given: { pluggins: {} },
      says: /^policy\.pluggins: is unknown; .*\(did you mean "plugins"\?\)$/,
    },
    "a namespace without names": {
      given: { namespaces: [{ inline: true }] },
      says: /^policy\.namespaces\[0\]\.names: is missing/,
    },
    "a namespace with an unknown setting": {
      given: { namespaces: [{ names: ["a"], namespaces: [] }] },
      says: /^policy\.namespaces\[0\]\.namespaces: is unknown/,
    },
  };
  for (const [name, { given, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => parsePolicy(given), (error: Error) => {
        assert.match(error.message, says);
        return true;
      });
    });
  }
});
