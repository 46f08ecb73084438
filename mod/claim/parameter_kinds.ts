/** One kind of opaque parameters that claims and classes may hold. */
export interface ParameterKind {
  readonly apiVersion?: string;
  /** Its names; none where parameters have no kind. */
  readonly kinds: readonly string[];
  /** The field that names the interface in the pod. */
  readonly nameField: string;
  /** The fields, besides `apiVersion`, `kind` and `metadata`, with what each holds. */
  readonly fields: Readonly<Record<string, string>>;
}

const NAME =
  "The interface's name in the pod. Default: `net1`, `net2`, … `eth0` and `lo` are taken.";
const CONFIG = "A CNI network configuration list (with `plugins`), or the configuration of one " +
  "plugin (with `type`).";

/** This project's own kind. */
export const OWN: ParameterKind = {
  apiVersion: "dra.networking/v1alpha1",
  kinds: ["Network"],
  nameField: "interfaceName",
  fields: {
    interfaceName: NAME,
    config: `${CONFIG} Only one of this, \`networkName\` and \`networkAttachmentDefinition\`.`,
    networkName: "The name of a network of the administrator's: a file in the agent's " +
      "`networkDir`, or a Network object.",
    networkAttachmentDefinition: "`NAME` or `NAMESPACE/NAME` of a NetworkAttachmentDefinition; " +
      "without a namespace, one in the claim's.",
    capabilities: "Capability arguments, for plugins whose configuration has the capability " +
      "turned on.",
  },
};

/** The API of the CNI driver that SIG Network designed (kubernetes-sigs/cni-dra-driver). */
export const CNI: ParameterKind = {
  apiVersion: "cni.networking.x-k8s.io/v1alpha1",
  kinds: ["CNIConfig", "CNI"],
  nameField: "ifName",
  fields: { ifName: NAME, config: CONFIG },
};

/** Parameters without `apiVersion` and `kind`. */
export const PLAIN: ParameterKind = {
  kinds: [],
  nameField: "interface",
  fields: { interface: NAME, config: CONFIG },
};

/** All kinds of parameters. */
export const PARAMETER_KINDS: readonly ParameterKind[] = [OWN, CNI, PLAIN];

/** The arguments in `capabilities`, with what each holds. */
export const CAPABILITY_ARGUMENTS = {
  ips: "Addresses in CIDR notation, such as `[192.168.1.10/24]`.",
  mac: "A MAC address, such as `02:00:5e:10:00:01`.",
  bandwidth: "`ingressRate`, `ingressBurst`, `egressRate`, `egressBurst`: whole numbers; " +
    "rates in bits per second, bursts in bits.",
  portMappings:
    "A list of `hostPort`, `containerPort` and, optionally, `protocol` (`tcp`, `udp`, " +
    "`sctp`) and `hostIP`. Claims may use it only where the policy allows it.",
} as const;

/** The name of a capability argument. */
export type CapabilityName = keyof typeof CAPABILITY_ARGUMENTS;
