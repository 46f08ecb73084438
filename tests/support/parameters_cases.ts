/** Parameters of a claim, good and bad. */
export interface ParametersCase {
  readonly given: unknown;
  /** What CEL makes of them: it says what the agent says, or leaves it to the agent. */
  readonly cel: "takes" | "refuses" | "leaves to the agent";
}

const config = { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "macvlan" }] };
const own = { apiVersion: "dra.networking/v1alpha1", kind: "Network" };
const sig = { apiVersion: "cni.networking.x-k8s.io/v1alpha1", kind: "CNIConfig" };
const [takes, refuses, leaves] = ["takes", "refuses", "leaves to the agent"] as const;

export const PARAMETERS_CASES: Readonly<Record<string, ParametersCase>> = {
  "plain": { given: { interface: "net1", config }, cel: takes },
  "plain without a name": { given: { config }, cel: takes },
  "CNIConfig": { given: { ...sig, ifName: "net1", config }, cel: takes },
  "CNI": { given: { ...sig, kind: "CNI", config }, cel: takes },
  "Network": { given: { ...own, interfaceName: "net1", config }, cel: takes },
  "a name of 15 bytes": { given: { ...own, interfaceName: "a".repeat(15), config }, cel: takes },
  "metadata": { given: { ...own, metadata: { name: "x" }, config }, cel: takes },
  "no name by null": { given: { ...own, interfaceName: null, config }, cel: takes },
  "networkName": { given: { ...own, networkName: "lan", interfaceName: "net1" }, cel: takes },
  "a definition": { given: { ...own, networkAttachmentDefinition: "lan" }, cel: takes },
  "a definition of a namespace": {
    given: { ...own, networkAttachmentDefinition: "infra/lan.v2" },
    cel: takes,
  },
  "nothing": { given: {}, cel: refuses },
  "an unknown field": { given: { mtu: 9000 }, cel: refuses },
  "an unknown field beside config": { given: { ...own, config, mtu: 9000 }, cel: refuses },
  "a field with a strange name": { given: { ...own, config, "a b": 1 }, cel: refuses },
  "a field of another kind": { given: { ...sig, interfaceName: "net1", config }, cel: refuses },
  "a field of another kind, the other way": {
    given: { ...own, ifName: "a", config },
    cel: refuses,
  },
  "a kind that is missing": { given: { interfaceName: "net1", config }, cel: refuses },
  "networkName without a kind": { given: { networkName: "lan" }, cel: refuses },
  "an unknown kind": { given: { ...own, kind: "Net", config }, cel: refuses },
  "a kind without apiVersion": { given: { kind: "Network", config }, cel: refuses },
  "apiVersion without a kind": { given: { apiVersion: own.apiVersion, config }, cel: refuses },
  "an unknown apiVersion": { given: { ...own, apiVersion: "v1", config }, cel: refuses },
  "a kind that is a number": { given: { ...own, kind: 5, config }, cel: refuses },
  "config and networkName": { given: { ...own, config, networkName: "lan" }, cel: refuses },
  "config and a definition": {
    given: { ...own, config, networkAttachmentDefinition: "lan" },
    cel: refuses,
  },
  "networkName and a definition": {
    given: { ...own, networkName: "lan", networkAttachmentDefinition: "lan" },
    cel: refuses,
  },
  "networkName that is empty": { given: { ...own, networkName: "" }, cel: refuses },
  "networkName that is a number": { given: { ...own, networkName: 5 }, cel: refuses },
  "networkName that is null": { given: { ...own, networkName: null }, cel: refuses },
  "a definition in upper case": {
    given: { ...own, networkAttachmentDefinition: "LAN" },
    cel: refuses,
  },
  "a definition of too many words": {
    given: { ...own, networkAttachmentDefinition: "a/b/c" },
    cel: refuses,
  },
  "a definition that is a list": {
    given: { ...own, networkAttachmentDefinition: ["lan"] },
    cel: refuses,
  },
  "a name that is too long": { given: { interface: "a".repeat(16), config }, cel: refuses },
  "a name that is much too long": { given: { interface: "a".repeat(99), config }, cel: refuses },
  "a name of too many bytes": { given: { interface: "üüüüüüüü", config }, cel: refuses },
  "a name with a slash": { given: { ...sig, ifName: "a/b", config }, cel: refuses },
  "a name with a space": { given: { interface: "a b", config }, cel: refuses },
  "a name with a percent sign": { given: { interface: "net%d", config }, cel: refuses },
  "a name of dots": { given: { interface: "..", config }, cel: refuses },
  "eth0": { given: { ...own, interfaceName: "eth0", config }, cel: refuses },
  "lo": { given: { interface: "lo", config }, cel: refuses },
  "a name that is empty": { given: { interface: "", config }, cel: refuses },
  "a name that is a number": { given: { interface: 1, config }, cel: refuses },
  "a name and no config": { given: { interface: "net1" }, cel: refuses },
  "config that is text": { given: { config: "{}" }, cel: refuses },
  "config that is null": { given: { config: null }, cel: refuses },
  "config without a name": { given: { config: { type: "macvlan" } }, cel: refuses },
  "config whose name is a number": { given: { config: { ...config, name: 5 } }, cel: refuses },
  "config without plugins": { given: { config: { name: "lan" } }, cel: leaves },
  "config with an unknown key": { given: { config: { ...config, plugin: [] } }, cel: leaves },
  "a plugin without a type": { given: { config: { ...config, plugins: [{}] } }, cel: leaves },
  "a name with a space of Unicode": { given: { interface: "a\u2003b", config }, cel: leaves },
  "a capability that no plugin has": {
    given: { ...own, config, capabilities: { mac: "02:00:00:00:00:01" } },
    cel: leaves,
  },
  "a capability that does not exist": {
    given: { ...own, config, capabilities: { vlan: 5 } },
    cel: leaves,
  },
};
