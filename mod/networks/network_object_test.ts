import assert from "node:assert/strict";
import fc from "fast-check";
import { FieldError } from "../claim/field.ts";
import { parseNetwork } from "./network_object.ts";

const config = { cniVersion: "1.0.0", type: "macvlan" };
const pools = [{ subnet: "10.38.0.0/24", gateway: "10.38.0.1" }];
const object = (spec: unknown, name = "lan") => ({ metadata: { name }, spec });

Deno.test("parseNetwork() reads a list, and one plugin's configuration", () => {
  const selector = { matchLabels: { tier: "web" } };
  assert.deepEqual(
    parseNetwork(object({
      description: "the storage network",
      config: { cniVersion: "1.0.0", plugins: [{ type: "host-device" }, { type: "tuning" }] },
      interfaceName: "storage",
      mtu: 9000,
      namespaceSelector: selector,
    })),
    {
      name: "lan",
      network: {
        cniVersion: "1.0.0",
        name: "lan",
        plugins: [{ type: "host-device" }, { type: "tuning", mtu: 9000 }],
      },
      ifName: "storage",
      namespaces: [{ key: "tier", operator: "In", values: ["web"] }],
    },
  );
  assert.deepEqual(parseNetwork(object({ config: { ...config, name: "lan" } })), {
    name: "lan",
    network: { cniVersion: "1.0.0", name: "lan", plugins: [{ ...config, name: "lan" }] },
  });
});

Deno.test("parseNetwork() gives the network its addresses", async (t) => {
  const { network } = parseNetwork(object({ config, mtu: 9000, addresses: { pools } }));
  assert.deepEqual(network, {
    cniVersion: "1.0.0",
    name: "lan",
    plugins: [{ ...config, name: "lan", mtu: 9000 }],
    addresses: { pools },
  });
  await t.step("beside an ipam that takes them", () => {
    const plugin = { type: "macvlan", capabilities: { ips: true }, ipam: { type: "static" } };
    const spec = { config: { cniVersion: "1.0.0", plugins: [plugin] }, addresses: { pools } };
    assert.deepEqual(parseNetwork(object(spec)).network.plugins, [plugin]);
  });
  await t.step("not if its name is too long for their objects", () => {
    assert.throws(() => parseNetwork(object({ config, addresses: { pools } }, "a".repeat(201))), {
      message: "metadata.name: must have at most 200 characters if the Network has addresses",
    });
  });
});

const WRONG: readonly (readonly [unknown, RegExp])[] = [
  [undefined, /^spec: must be an object, not missing/],
  [{}, /^spec\.config: is missing/],
  [{ config: '{"type": "macvlan"}' }, /^spec\.config: must be an object, not a string/],
  [{ config: { ...config, name: "wan" } }, /^spec\.config\.name: "wan" must be the object's name/],
  [{ config: { cniVersion: "1.0.0" } }, /^spec\.config: must have "plugins" .* or "type"/],
  [{ config: { plugins: [] } }, /^spec\.config\.plugins: must name at least one plugin/],
  [{ config: { ...config, type: "../sh" } }, /^spec\.config\.type: "\.\.\/sh" must be the name/],
  [
    { config: { ...config, cniVersion: "9.0.0" } },
    /^spec\.config\.cniVersion: "9\.0\.0" is unknown/,
  ],
  [{ config, routes: [] }, /^spec\.routes: is unknown; must be one of description, config/],
  [{ config, addresses: [] }, /^spec\.addresses: must be an object, not \[\]/],
  [
    { config, addresses: { pools: [{ subnet: "10.38.0.5/24" }] } },
    /^spec\.addresses\.pools\[0\]\.subnet: .* has host bits set: write 10\.38\.0\.0\/24$/,
  ],
  [
    { config: { ...config, ipam: { type: "host-local" } }, addresses: { pools } },
    /^spec\.addresses: the plugin "macvlan" has an ipam of its own: leave it out, or leave the/,
  ],
  [{ config, interfaceName: "eth0" }, /^spec\.interfaceName: "eth0" is an interface that the pod/],
  [{ config, interfaceName: "a/b" }, /^spec\.interfaceName: /],
  [{ config, mtu: 67 }, /^spec\.mtu: must be a whole number from 68 to 65535, not 67/],
  [{ config, mtu: "9000" }, /^spec\.mtu: must be a whole number/],
  [{ config: { ...config, mtu: 1500 }, mtu: 9000 }, /^spec\.mtu: the plugin "macvlan" has an MTU/],
  [
    { config: { ...config, type: "sriov" }, mtu: 9000 },
    /^spec\.mtu: none of the plugins "sriov" is/,
  ],
  [{ config, namespaceSelector: [] }, /^spec\.namespaceSelector: must be an object/],
  [
    { config, namespaceSelector: { matchlabels: {} } },
    /^spec\.namespaceSelector\.matchlabels: is unknown; .*did you mean "matchLabels"/,
  ],
  [
    { config, namespaceSelector: { matchExpressions: [{ key: "a", operator: "In" }] } },
    /^spec\.namespaceSelector\.matchExpressions\[0\]\.values: must hold at least one value/,
  ],
  [
    { config, namespaceSelector: { matchExpressions: [{ key: "a", operator: "Has" }] } },
    /\.operator: "Has" is unknown; must be one of In, NotIn, Exists, DoesNotExist/,
  ],
  [
    { config: JSON.parse('{"type": "a", "__proto__": {}}') },
    /^spec\.config\.__proto__: is not allowed/,
  ],
];

for (const [spec, says] of WRONG) {
  Deno.test(`parseNetwork() refuses ${JSON.stringify(spec)}`, () => {
    assert.throws(() => parseNetwork(object(spec)), (error) => {
      assert.ok(error instanceof FieldError);
      assert.match(error.message, says);
      return true;
    });
  });
}

Deno.test("parseNetwork() refuses hostile objects with a FieldError, and what it takes is plain JSON", () => {
  const key = fc.constantFrom("config", "mtu", "interfaceName", "namespaceSelector", "description");
  // As text: it has no -0, which would come back as 0.
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)));
  const spec = fc.dictionary(fc.oneof({ weight: 9, arbitrary: key }, fc.string()), json);
  const likely = fc.record({
    config: fc.oneof(
      fc.record({ type: fc.string(), mtu: json }, { requiredKeys: [] }),
      fc.record({
        plugins: fc.array(fc.record({ type: fc.string() })),
        cniVersion: json,
      }),
    ),
    mtu: fc.integer({ min: 60, max: 70_000 }),
  }, { requiredKeys: ["config"] });
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof(spec, likely), fc.string(), (given, name) => {
      for (const each of [object(given), object(given, name), { metadata: given }, given]) {
        try {
          const { network } = parseNetwork(each);
          taken++;
          assert.deepEqual(JSON.parse(JSON.stringify(network)), network);
        } catch (error) {
          assert.ok(error instanceof FieldError, String(error));
        }
      }
    }),
    { numRuns: 2_000 },
  );
  assert.ok(taken > 0, "nothing was taken");
});
