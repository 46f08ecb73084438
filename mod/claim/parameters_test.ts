import assert from "node:assert/strict";
import { FieldError } from "./field.ts";
import { type NetworkOf, parseParameters } from "./parameters.ts";

const config = { cniVersion: "1.0.0", name: "n", plugins: [{ type: "macvlan" }] };
const withCapabilities = {
  ...config,
  plugins: [{
    type: "macvlan",
    capabilities: { ips: true, mac: true, bandwidth: true, portMappings: true },
  }],
};
const own = { apiVersion: "dra.networking/v1alpha1", kind: "Network" };
const sig = { apiVersion: "cni.networking.x-k8s.io/v1alpha1", kind: "CNIConfig" };

Deno.test("parseParameters() reads every kind", async (t) => {
  const pluginPaths = ["parameters.config.plugins[0]"];
  const named = { ifName: "net1", network: config, form: "list", pluginPaths, capabilityArgs: {} };
  const cases: Record<string, { given: unknown; gives: unknown }> = {
    "no kind": { given: { interface: "net1", config }, gives: named },
    "no kind and no name": {
      given: { config },
      gives: { network: config, form: "list", pluginPaths, capabilityArgs: {} },
    },
    "CNIConfig": { given: { ...sig, ifName: "net1", config }, gives: named },
    "CNI": { given: { ...sig, kind: "CNI", ifName: "net1", config }, gives: named },
    "Network": { given: { ...own, interfaceName: "net1", config }, gives: named },
    "Network with capabilities": {
      given: {
        ...own,
        config: withCapabilities,
        capabilities: {
          ips: ["10.0.0.5/24"],
          mac: "02:00:5E:10:00:01",
          bandwidth: { ingressRate: 1000, ingressBurst: 2000 },
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
        },
      },
      gives: {
        network: withCapabilities,
        form: "list",
        pluginPaths,
        capabilityArgs: {
          ips: ["10.0.0.5/24"],
          mac: "02:00:5e:10:00:01",
          bandwidth: { ingressRate: 1000, ingressBurst: 2000 },
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
        },
      },
    },
  };
  for (const [name, { given, gives }] of Object.entries(cases)) {
    await t.step(name, () => assert.deepEqual(parseParameters(given, "parameters"), gives));
  }
});

Deno.test("parseParameters() takes the administrator's network that is named", () => {
  const networkOf: NetworkOf = ({ name }) => {
    if (name === "lan") {
      return { network: withCapabilities, place: "/networks/lan.conflist", form: "name" };
    }
    throw new Error(`there is no ${name}`);
  };
  const read = (more: Record<string, unknown>) =>
    parseParameters({ ...own, ...more }, "parameters", networkOf);
  assert.deepEqual(
    read({ interfaceName: "net1", networkName: "lan", capabilities: { ips: ["10.0.0.5/24"] } }),
    {
      ifName: "net1",
      network: withCapabilities,
      form: "name",
      pluginPaths: ["/networks/lan.conflist: plugins[0]"],
      capabilityArgs: { ips: ["10.0.0.5/24"] },
    },
  );
  assert.throws(() => read({ networkName: "wan" }), /parameters\.networkName: there is no wan/);
  assert.throws(() => read({ networkName: "lan", config }), /parameters\.config: must be left out/);
  assert.throws(
    () => parseParameters({ ...own, networkName: "lan" }, "parameters"),
    /parameters\.networkName: there is no network "lan": the administrator has defined none/,
  );
});

Deno.test("parseParameters() takes the interface's name from the network where none is given", () => {
  const networkOf: NetworkOf = () => ({
    network: withCapabilities,
    place: "Network lan",
    ifName: "storage",
    form: "name",
  });
  const read = (more: Record<string, unknown>) =>
    parseParameters({ ...own, networkName: "lan", ...more }, "parameters", networkOf);
  assert.equal(read({}).ifName, "storage");
  assert.equal(read({ interfaceName: "net7" }).ifName, "net7");
});

Deno.test("parseParameters() takes the NetworkAttachmentDefinition that is named", async (t) => {
  const asked: unknown[] = [];
  const networkOf: NetworkOf = (given) => {
    asked.push(given);
    const network = withCapabilities;
    return { network, place: "a definition", definition: "shop/lan", form: "list" };
  };
  const read = (more: Record<string, unknown>) =>
    parseParameters({ ...own, ...more }, "parameters", networkOf);
  const { definition, form, pluginPaths } = read({ networkAttachmentDefinition: "shop/lan" });
  assert.deepEqual([definition, form], ["shop/lan", "list"]);
  assert.deepEqual(pluginPaths, [
    "parameters.networkAttachmentDefinition: shop/lan: spec.config.plugins[0]",
  ]);
  read({ networkAttachmentDefinition: "lan.v2" });
  const by = "networkAttachmentDefinition";
  assert.deepEqual(asked, [{ by, namespace: "shop", name: "lan" }, { by, name: "lan.v2" }]);
  for (const wrong of ["a/b/c", "/lan", "shop/", "Shop/lan", "sh.op/lan", "../lan", "lan@net1"]) {
    await t.step(wrong, () => {
      assert.throws(
        () => read({ networkAttachmentDefinition: wrong }),
        /parameters\.networkAttachmentDefinition: ".*" must be NAME or NAMESPACE\/NAME/,
      );
    });
  }
  for (const other of [{ config }, { networkName: "lan" }]) {
    assert.throws(
      () => read({ networkAttachmentDefinition: "lan", ...other }),
      /must be left out: networkAttachmentDefinition already names the network/,
    );
  }
});

Deno.test("parseParameters() names the path of what is wrong and what is allowed", async (t) => {
  const network = { ...own, config: withCapabilities };
  const cases: Record<string, { given: unknown; path: string; says: RegExp }> = {
    "an unknown kind": {
      given: { ...own, kind: "Netwerk", config },
      path: "parameters.kind",
      says: /"Netwerk" is unknown; must be one of dra\.networking\/v1alpha1 Network, .*CNIConfig/,
    },
    "a version that YAML has read as a number": {
      given: { ...own, config: { ...config, cniVersion: 1.1 } },
      path: "parameters.config.cniVersion",
      says: /not 1\.1 \(YAML reads it as a number: put it in quotes\)/,
    },
    "an unknown apiVersion": {
      given: { apiVersion: "x/v1", kind: "Network", config },
      path: "parameters.apiVersion",
      says: /must be one of/,
    },
    "a kind without its apiVersion": {
      given: { kind: "CNI", config },
      path: "parameters.apiVersion",
      says: /missing/,
    },
    "an unknown field": {
      given: { interface: "net1", config, mtu: 1 },
      path: "parameters.mtu",
      says: /is unknown; must be one of interface, config/,
    },
    "a field that needs the kind": {
      given: { interfaceName: "lan", config },
      path: "parameters.interfaceName",
      says:
        /needs apiVersion and kind beside it: apiVersion: dra\.networking\/v1alpha1, kind: Network$/,
    },
    "another kind's field": {
      given: { ...sig, interface: "net1", config },
      path: "parameters.interface",
      says: /ifName, config/,
    },
    "no config": { given: { interface: "net1" }, path: "parameters.config", says: /is missing/ },
    "a config that is text": {
      given: { config: "{}" },
      path: "parameters.config",
      says: /not a string/,
    },
    "nothing": { given: undefined, path: "parameters", says: /must be an object, not missing/ },
    "the name of the cluster network's interface": {
      given: { interface: "eth0", config },
      path: "parameters.interface",
      says: /"eth0" is an interface that the pod already has/,
    },
    "the name of every pod's interface": {
      given: { ...own, interfaceName: "lo", config },
      path: "parameters.interfaceName",
      says: /"lo" is an interface that the pod already has/,
    },
    "a name of 16 bytes": {
      given: { interface: "abcdefghijklmnop", config },
      path: "parameters.interface",
      says: /has 16 bytes; it must have 1 to 15/,
    },
    "a name of 16 bytes in 8 characters": {
      given: { interface: "éééééééé", config },
      path: "parameters.interface",
      says: /16 bytes/,
    },
    "a name with a slash": {
      given: { interface: "a/b", config },
      path: "parameters.interface",
      says: /"\/"/,
    },
    "a name with a space": {
      given: { interface: "a b", config },
      path: "parameters.interface",
      says: /white/,
    },
    "a name of two dots": {
      given: { interface: "..", config },
      path: "parameters.interface",
      says: /is not allowed/,
    },
    "an empty name": {
      given: { interface: "", config },
      path: "parameters.interface",
      says: /not empty/,
    },
    "a name that is a number": {
      given: { interface: 1, config },
      path: "parameters.interface",
      says: /not 1/,
    },
    "an unknown capability": {
      given: { ...network, capabilities: { macs: "" } },
      path: "parameters.capabilities.macs",
      says: /must be one of ips, mac, bandwidth, portMappings/,
    },
    "a capability no plugin takes": {
      given: { ...own, config, capabilities: { mac: "02:00:00:00:00:01" } },
      path: "parameters.capabilities.mac",
      says: /no plugin of network "n" accepts it; add "capabilities": {"mac": true}/,
    },
    "a MAC address that is none": {
      given: { ...network, capabilities: { mac: "02:00" } },
      path: "parameters.capabilities.mac",
      says: /must be a MAC address/,
    },
    "a rate below 0": {
      given: { ...network, capabilities: { bandwidth: { ingressRate: -1 } } },
      path: "parameters.capabilities.bandwidth.ingressRate",
      says: /whole number/,
    },
    "a port beyond 65535": {
      given: {
        ...network,
        capabilities: { portMappings: [{ hostPort: 1, containerPort: 70000 }] },
      },
      path: "parameters.capabilities.portMappings[0].containerPort",
      says: /1 to 65535/,
    },
    "an unknown protocol": {
      given: {
        ...network,
        capabilities: { portMappings: [{ hostPort: 1, containerPort: 1, protocol: "icmp" }] },
      },
      path: "parameters.capabilities.portMappings[0].protocol",
      says: /tcp, udp or sctp/,
    },
  };
  for (const [name, { given, path, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => parseParameters(given, "parameters"), (error: unknown) => {
        assert.ok(error instanceof FieldError);
        assert.equal(error.path, path);
        assert.match(error.message, says);
        return true;
      });
    });
  }
});

Deno.test("parseParameters() refuses what the journal could not give back as it was", async (t) => {
  const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));
  const cases: Record<string, { given: unknown; says: RegExp }> = {
    "__proto__ in a plugin": {
      given: JSON.parse('{"config":{"name":"n","type":"x","__proto__":{"type":"y"}}}'),
      says: /^p\.config\.__proto__: is not allowed as a name$/,
    },
    "constructor in a list": {
      given: { config: { ...config, plugins: [{ type: "x", a: [{ constructor: 1 }] }] } },
      says: /^p\.config\.plugins\[0\]\.a\[0\]\.constructor: is not allowed as a name$/,
    },
    "lists in lists": {
      given: { config: { ...config, plugins: [{ type: "x", a: nested(5000) }] } },
      says: /is nested too deeply: at most 32 levels are allowed$/,
    },
  };
  for (const [name, { given, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => parseParameters(given, "p"), (error: Error) => {
        assert.ok(error instanceof FieldError);
        assert.match(error.message, says);
        assert.ok(error.message.length < 500);
        return true;
      });
    });
  }
});
