import assert from "node:assert/strict";
import fc from "fast-check";
import { ClaimError, planClaim } from "./plan.ts";

const driver = "dra.networking";
const options = { driver, interfaceOf: (device: string) => ({ device }) };

function parameters(network: string, ifName?: string) {
  const config = { cniVersion: "1.0.0", name: network, plugins: [{ type: "macvlan" }] };
  return { ...(ifName !== undefined && { interface: ifName }), config };
}

function config(source: string, requests: string[], given: unknown, name = driver) {
  return { source, requests, opaque: { driver: name, parameters: given } };
}

function result(request: string, more: Record<string, unknown> = {}) {
  return { request, driver, pool: "node", device: "cni", ...more };
}

function aClaim(results: unknown[], configs: unknown[], more: Record<string, unknown> = {}) {
  return {
    metadata: { namespace: "default", name: "a", uid: "uid-a", ...more },
    status: { allocation: { devices: { results, config: configs } } },
  };
}

/** `<request> <network> <interface>` for each attachment. */
function plan(claim: unknown): string[] {
  return planClaim(claim, options).attachments.map(({ request, network, ifName }) =>
    `${request} ${network.name} ${ifName}`
  );
}

Deno.test("planClaim() joins every result with the configuration that applies", async (t) => {
  const cases: Record<string, { results: unknown[]; configs: unknown[]; gives: string[] }> = {
    "one request": {
      results: [result("r")],
      configs: [config("FromClaim", ["r"], parameters("n", "eth1"))],
      gives: ["r n eth1"],
    },
    "an empty requests means all": {
      results: [result("r"), result("s")],
      configs: [config("FromClaim", [], parameters("n"))],
      gives: ["r n ", "s n "],
    },
    "several requests with a configuration each": {
      results: [result("s"), result("r")],
      configs: [
        config("FromClaim", ["r"], parameters("n")),
        config("FromClaim", ["s"], parameters("m")),
      ],
      gives: ["s m ", "r n "],
    },
    "several devices of one request": {
      results: [result("r", { shareID: "x" }), result("r", { shareID: "y" })],
      configs: [config("FromClaim", ["r"], parameters("n"))],
      gives: ["r n ", "r n "],
    },
    "a claim's configuration replaces the class's": {
      results: [result("r"), result("s")],
      configs: [
        config("FromClass", ["r"], parameters("class")),
        config("FromClass", ["s"], parameters("class")),
        config("FromClaim", ["r"], parameters("claim")),
      ],
      gives: ["r claim ", "s class "],
    },
    "a parent's name matches its subrequests": {
      results: [result("r/small")],
      configs: [config("FromClaim", ["r"], parameters("n"))],
      gives: ["r/small n "],
    },
    "a subrequest's own name": {
      results: [result("r/small")],
      configs: [
        config("FromClaim", ["r/large"], parameters("large")),
        config("FromClaim", ["r/small"], parameters("small")),
      ],
      gives: ["r/small small "],
    },
    "other drivers' results and configurations are theirs": {
      results: [result("gpu", { driver: "gpu.example" }), result("r")],
      configs: [
        config("FromClaim", [], { anything: true }, "gpu.example"),
        config("FromClaim", [], parameters("n")),
      ],
      gives: ["r n "],
    },
  };
  for (const [name, { results, configs, gives }] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(plan(aClaim(results, configs)), gives));
  }
});

Deno.test("planClaim() carries over device, pool and shareID", () => {
  const results = [result("r", { pool: "p", device: "d", shareID: "s" })];
  const { attachments } = planClaim(
    aClaim(results, [config("FromClaim", [], parameters("n", "eth1"))]),
    options,
  );
  const { pool, device, shareID, ifNameGiven } = attachments[0]!;
  assert.deepEqual({ pool, device, shareID, ifNameGiven }, {
    pool: "p",
    device: "d",
    shareID: "s",
    ifNameGiven: true,
  });
});

Deno.test("planClaim() takes the names that an earlier run gave from the claim's status", () => {
  const results = ["r", "s", "t"].map((request) => result(request, { device: request }));
  const claim = aClaim(results, [
    config("FromClaim", ["r", "s"], parameters("n")),
    config("FromClaim", ["t"], parameters("m", "eth1")),
  ]);
  const written = (device: string, interfaceName: string) => {
    return { driver, pool: "node", device, networkData: { interfaceName } };
  };
  const devices = [written("r", "net2"), written("t", "net1")];
  assert.deepEqual(
    plan({ ...claim, status: { ...claim.status, devices } }),
    ["r n net2", "s n ", "t m eth1"],
  );
});

Deno.test("planClaim() reads who uses the claim and whether others can", () => {
  const claim = aClaim([result("r")], [config("FromClaim", [], parameters("n"))]);
  const reservedFor = [
    { resource: "pods", name: "p", uid: "uid-p" },
    { resource: "podgroups", apiGroup: "scheduling.k8s.io", name: "team", uid: "uid-t" },
  ];
  const named = planClaim({ ...claim, status: { ...claim.status, reservedFor } }, options);
  assert.deepEqual(named.pods, [{ name: "p", uid: "uid-p" }]);
  assert.deepEqual(named.groups, ["team"]);
  assert.equal(named.shareable, true);
  const owner = { kind: "Pod", name: "p", uid: "uid-p", controller: true };
  const made = { ...claim, metadata: { ...claim.metadata, ownerReferences: [owner] } };
  assert.equal(planClaim(made, options).shareable, false);
});

Deno.test("planClaim() says which claim and request cannot be served, and why", async (t) => {
  const good = [config("FromClaim", [], parameters("n"))];
  const cases: Record<string, { claim: unknown; says: RegExp }> = {
    "not allocated": {
      claim: { metadata: { namespace: "default", name: "a", uid: "u" } },
      says: /^claim default\/a: it is not allocated/,
    },
    "reserved for what is neither a pod nor a PodGroup": {
      claim: {
        ...aClaim([result("r")], good),
        status: {
          ...aClaim([result("r")], good).status,
          reservedFor: [{ resource: "others", apiGroup: "x", name: "o", uid: "uid-o" }],
        },
      },
      says:
        /^claim default\/a: status\.reservedFor\[0\]: it is reserved for "others" of the API group "x", .*cannot tell which pods use the claim$/,
    },
    "no result of this driver": {
      claim: aClaim([result("r", { driver: "gpu.example" })], good),
      says: /^claim default\/a: its allocation contains no device of driver dra\.networking$/,
    },
    "no configuration": {
      claim: aClaim([result("r")], []),
      says: /^claim default\/a: request r: no configuration applies to it; add one/,
    },
    "a configuration for another request": {
      claim: aClaim([result("r")], [config("FromClaim", ["s"], parameters("n"))]),
      says: /request r: no configuration applies/,
    },
    "two configurations of one source": {
      claim: aClaim([result("r")], [
        config("FromClaim", [], parameters("n")),
        config("FromClaim", ["r"], parameters("m")),
      ]),
      says:
        /request r: .*config\[1\]\.opaque\.parameters: applies to the same request as .*config\[0\]/,
    },
    "bad parameters": {
      claim: aClaim([result("r")], [config("FromClaim", [], { config: { name: "n", type: "" } })]),
      says: /request r: .*config\[0\]\.opaque\.parameters\.config\.type: must be/,
    },
    "admin access": {
      claim: aClaim([result("r", { adminAccess: true })], good),
      says: /request r: .*results\[0\]\.adminAccess: is not supported by this driver/,
    },
    "an unknown source": {
      claim: aClaim([result("r")], [config("FromMars", [], parameters("n"))]),
      says: /config\[0\]\.source: must be FromClass or FromClaim, not "FromMars"/,
    },
    "no object": { claim: 1, says: /^claim: the claim: must be an object/ },
  };
  for (const [name, { claim, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => planClaim(claim, options), (error: unknown) => {
        assert.ok(error instanceof ClaimError);
        assert.match(error.message, says);
        return true;
      });
    });
  }
});

Deno.test("planClaim() meets any claim with a plan or a ClaimError", () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const shaped = fc.record({
    metadata: fc.oneof(json, fc.constant({ namespace: "n", name: "a", uid: "u" })),
    status: fc.record({
      reservedFor: json,
      allocation: fc.record({
        devices: fc.record({
          results: fc.oneof(json, fc.array(fc.oneof(json, fc.constant(result("r"))))),
          config: fc.oneof(
            json,
            fc.array(fc.oneof(json, json.map((given) => config("FromClaim", [], given)))),
          ),
        }),
      }),
    }),
  });
  fc.assert(
    fc.property(fc.oneof(json, shaped), (claim) => {
      try {
        planClaim(claim, options);
      } catch (error) {
        if (!(error instanceof ClaimError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("planClaim() gives the configuration the interface of the allocated device", async (t) => {
  const interfaceOf = (device: string) => ({ device, interfaceName: device, type: "physical" });
  const given = (plugin: Record<string, unknown>, single = false) => {
    const rest = { cniVersion: "1.0.0", name: "n" };
    const value = single ? { ...rest, ...plugin } : { ...rest, plugins: [plugin] };
    return aClaim([result("r", { device: "eth1" }), result("s", { device: "eth2" })], [
      config("FromClaim", [], { config: value }),
    ]);
  };
  await t.step("each its own", () => {
    const { attachments } = planClaim(given({ type: "macvlan" }), { driver, interfaceOf });
    assert.deepEqual(attachments.map(({ network }) => network.plugins[0]!.master), [
      "eth1",
      "eth2",
    ]);
  });
  for (const [single, path] of [[false, "config.plugins[0].master"], [true, "config.master"]]) {
    await t.step(`refuses another at ${path}`, () => {
      const claim = given({ type: "macvlan", master: "eth0" }, single as boolean);
      assert.throws(() => planClaim(claim, { driver, interfaceOf }), (error: Error) => {
        assert.ok(error instanceof ClaimError);
        assert.ok(
          error.message.startsWith(
            "claim default/a: request r: " +
              `status.allocation.devices.config[0].opaque.parameters.${path}: "eth0" is not`,
          ),
          error.message,
        );
        return true;
      });
    });
  }
});

Deno.test("planClaim() takes no names that could lead out of a folder or into CNI_ARGS", () => {
  const names = [
    "..",
    "../x",
    "a/b",
    "a;K8S_POD_NAME=b",
    "a=b",
    "a b",
    "a\0",
    "\ud800",
    "x".repeat(254),
  ];
  const good = aClaim([result("r")], [config("FromClaim", ["r"], parameters("n"))]);
  for (const name of names) {
    for (const key of ["namespace", "name", "uid"]) {
      const claim = { ...good, metadata: { ...good.metadata, [key]: name } };
      assert.throws(() => planClaim(claim, options), /is not the name or UID of an object/, name);
    }
    for (const key of ["name", "uid"]) {
      const pod = { resource: "pods", name: "p", uid: "u", [key]: name };
      const claim = { ...good, status: { ...good.status, reservedFor: [pod] } };
      assert.throws(() => planClaim(claim, options), /is not the name or UID of an object/, name);
    }
  }
});

Deno.test("planClaim() refuses addresses that the claim names and cannot get", async (t) => {
  const addresses = {
    pools: [{ subnet: "10.38.0.0/24", gateway: "10.38.0.1" }, { subnet: "fd00:38::/64" }],
    reserved: [{ address: "10.38.0.20", namespace: "shop" }],
  };
  const network = { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "macvlan" }], addresses };
  const planned = (ips: unknown) => {
    const given = {
      apiVersion: "dra.networking/v1alpha1",
      kind: "Network",
      networkName: "lan",
      capabilities: { ips },
    };
    const claim = aClaim([result("r")], [config("FromClaim", ["r"], given)]);
    const networkOf = () => ({ network, place: "Network lan", form: "name" as const });
    return planClaim(claim, { ...options, networkOf }).attachments[0]!;
  };
  const { capabilityArgs, network: own } = planned(["10.38.0.9/24", "fd00:38::9"]);
  assert.deepEqual(capabilityArgs, { ips: ["10.38.0.9/24", "fd00:38::9"] });
  assert.deepEqual(own.addresses, addresses);
  for (
    const [ips, says] of [
      [["10.39.0.9"], /capabilities\.ips\[0\]: 10\.39\.0\.9 is in no subnet of the network \(10/],
      [["10.38.0.1"], /ips\[0\]: 10\.38\.0\.1 is the network's gateway$/],
      [["10.38.0.20"], /ips\[0\]: 10\.38\.0\.20 is reserved for claims in namespace shop$/],
      [["fd00:38::9", "x"], /ips\[1\]: "x" is not an IP address$/],
      [
        ["10.38.0.9", "10.38.0.10"],
        /ips\[1\]: an attachment has one address of each family, and 10/,
      ],
    ] as const
  ) {
    await t.step(ips.join(", "), () => assert.throws(() => planned(ips), { message: says }));
  }
});
