import { type Command, EXIT_CODES } from "../command.ts";
import type { Flag, Flags } from "../flag.ts";
import * as take from "../settings.ts";

/** The agent's settings, which can be given as a flag, an environment variable or in the configuration file. */
export const RUN_SETTINGS = {
  nodeName: {
    name: "node-name",
    env: "NODE_NAME",
    takes: "NAME",
    help: "Name of the agent's Node object.",
    defaultIs: "the host name",
    parse: take.name,
  },
  podUid: {
    name: "pod-uid",
    env: "POD_UID",
    takes: "UID",
    help:
      "UID of the agent's pod. With it, two agents can run side by side during a rolling update.",
    parse: take.podUid,
  },
  driverName: {
    name: "driver-name",
    aliases: ["dra-driver-name"],
    env: "NETWORK_DRA_DRIVER_NAME",
    takes: "NAME",
    help: "Name of the DRA driver in claims and DeviceClasses.",
    default: "dra.networking",
    parse: take.driverName,
  },
  kubeletDir: {
    name: "kubelet-dir",
    env: "NETWORK_DRA_KUBELET_DIR",
    takes: "PATH",
    path: "folder",
    help: "Root folder of the kubelet.",
    default: "/var/lib/kubelet",
    parse: take.absolutePath,
  },
  nriSocket: {
    name: "nri-socket",
    env: "NETWORK_DRA_NRI_SOCKET",
    takes: "PATH",
    path: "file",
    help: "NRI socket of the container runtime.",
    default: "/var/run/nri/nri.sock",
    parse: take.socketPath,
  },
  netnsDir: {
    name: "netns-dir",
    env: "NETWORK_DRA_NETNS_DIR",
    takes: "PATH",
    path: "folder",
    help: "Folder in which the container runtime keeps the network namespaces of pods.",
    default: "/var/run/netns",
    parse: take.absolutePath,
  },
  pluginName: {
    name: "plugin-name",
    env: "NETWORK_DRA_PLUGIN_NAME",
    takes: "NAME",
    help: "Name of the NRI plugin.",
    default: "network-dra",
    parse: take.pluginName,
  },
  pluginIndex: {
    name: "plugin-index",
    env: "NETWORK_DRA_PLUGIN_INDEX",
    takes: "NN",
    help: "Position of the NRI plugin among others, two digits.",
    default: "53",
    parse: take.pluginIndex,
  },
  cniPath: {
    name: "cni-path",
    env: "NETWORK_DRA_CNI_PATH",
    takes: "PATH[:PATH…]",
    path: "folder",
    help: "Folders that contain the CNI plugins.",
    default: "/opt/cni/bin",
    parse: take.searchPath,
  },
  chrootDir: {
    name: "chroot-dir",
    env: "NETWORK_DRA_CHROOT_DIR",
    takes: "PATH",
    path: "folder",
    help: "Where the node's root folder is mounted. CNI plugins run in it.",
    default: "",
    defaultIs: "the agent's own root",
    parse: take.otherRootOrEmpty,
  },
  cniTimeout: {
    name: "cni-timeout",
    env: "NETWORK_DRA_CNI_TIMEOUT",
    takes: "TIME",
    help: "Time limit for one operation of a CNI plugin.",
    default: "30s",
    parse: take.duration,
  },
  stateDir: {
    name: "state-dir",
    aliases: ["cni-cache-dir"],
    env: "NETWORK_DRA_STATE_DIR",
    takes: "PATH",
    path: "folder",
    help: "Folder in which the agent keeps its records.",
    default: "/var/lib/network-dra",
    parse: take.absolutePath,
  },
  cdiDir: {
    name: "cdi-dir",
    env: "NETWORK_DRA_CDI_DIR",
    takes: "PATH",
    path: "folder",
    help:
      "Folder in which the container runtime looks for CDI specifications. Empty turns CDI off.",
    default: "/var/run/cdi",
    parse: take.absolutePathOrEmpty,
  },
  deviceMetadata: {
    name: "device-metadata",
    env: "NETWORK_DRA_DEVICE_METADATA",
    takes: "BOOLEAN",
    help:
      "Whether containers that name a claim find a file with its interfaces and addresses (KEP-5304).",
    default: "true",
    parse: take.yesOrNo,
  },
  kubeconfig: {
    name: "kubeconfig",
    env: "KUBECONFIG",
    takes: "PATH",
    path: "file",
    help: "Kubeconfig file for the API server.",
    defaultIs: "the pod's ServiceAccount",
    parse: take.absolutePath,
  },
  concurrency: {
    name: "concurrency",
    env: "NETWORK_DRA_CONCURRENCY",
    takes: "NUMBER",
    help: "How many CNI operations run at the same time. Those that only wait are not counted.",
    defaultIs: "twice the number of cores",
    parse: take.wholeNumber({ least: 1, most: 1024 }),
  },
  attachmentsPerInterface: {
    name: "attachments-per-interface",
    env: "NETWORK_DRA_ATTACHMENTS_PER_INTERFACE",
    takes: "NUMBER",
    help: "How many attachments one interface of the node can have.",
    default: "256",
    parse: take.wholeNumber({ least: 1, most: 1_000_000 }),
  },
  copiesPerInterface: {
    name: "copies-per-interface",
    env: "NETWORK_DRA_COPIES_PER_INTERFACE",
    takes: "NUMBER",
    help: "The same for clusters that cannot share devices (before Kubernetes 1.36).",
    default: "16",
    parse: take.wholeNumber({ least: 1, most: 256 }),
  },
  checkInterval: {
    name: "check-interval",
    env: "NETWORK_DRA_CHECK_INTERVAL",
    takes: "TIME",
    help: "Time between two checks of the attached networks. 0 turns the checks off.",
    default: "60s",
    parse: take.durationOrZero,
  },
  repair: {
    name: "repair",
    env: "NETWORK_DRA_REPAIR",
    help: "Attach a network again when a check finds that it is lost.",
    default: "false",
    parse: take.yesOrNo,
  },
  gcNetworks: {
    name: "gc-networks",
    env: "NETWORK_DRA_GC_NETWORKS",
    takes: "NAME[,NAME…]",
    help:
      "Networks that only this agent attaches. The agent cleans up what is left over of them (CNI GC).",
    default: "",
    parse: take.networkNames,
  },
  sysfsDir: {
    name: "sysfs-dir",
    env: "NETWORK_DRA_SYSFS_DIR",
    takes: "PATH",
    path: "folder",
    help: "Where the node's sysfs is mounted.",
    default: "/sys",
    parse: take.absolutePath,
  },
  networkDir: {
    name: "network-dir",
    env: "NETWORK_DRA_NETWORK_DIR",
    takes: "PATH",
    path: "folder",
    help: "Folder of CNI configurations that claims can name.",
    default: "",
    parse: take.absolutePathOrEmpty,
  },
  networkObjects: {
    name: "network-objects",
    env: "NETWORK_DRA_NETWORK_OBJECTS",
    help: "Follow the cluster's Networks (dra.networking/v1alpha1), which claims can name.",
    default: "false",
    parse: take.yesOrNo,
  },
  networkAttachmentDefinitions: {
    name: "network-attachment-definitions",
    env: "NETWORK_DRA_NETWORK_ATTACHMENT_DEFINITIONS",
    help: "Follow the cluster's NetworkAttachmentDefinitions, which claims can name.",
    default: "false",
    parse: take.yesOrNo,
  },
  networkCacheTime: {
    name: "network-cache-time",
    env: "NETWORK_DRA_NETWORK_CACHE_TIME",
    takes: "TIME",
    help:
      "How long both are still used after the API server has stopped to answer. 0 sets no limit.",
    default: "0",
    parse: take.durationOrZero,
  },
  leaseNamespace: {
    name: "lease-namespace",
    env: "NETWORK_DRA_LEASE_NAMESPACE",
    takes: "NAMESPACE",
    help:
      "Namespace of the Lease network-dra-duties: its holder, one of the agents that follow Networks, " +
      "writes their status and frees addresses.",
    default: "kube-system",
    parse: take.namespace,
  },
  listen: {
    name: "listen",
    env: "NETWORK_DRA_LISTEN",
    takes: "HOST:PORT",
    help: "Address at which health and metrics are served. Empty turns that off.",
    default: "127.0.0.1:9177",
    parse: take.listenAddress,
  },
  metricsSecure: {
    name: "metrics-secure",
    env: "NETWORK_DRA_METRICS_SECURE",
    takes: "HOST:PORT",
    help:
      "Address at which metrics are served over HTTPS to clients that the API server allows to read " +
      "them. They are then no longer served at --listen. Empty turns that off.",
    default: "",
    parse: take.listenAddress,
  },
  metricsCert: {
    name: "metrics-cert",
    env: "NETWORK_DRA_METRICS_CERT",
    takes: "PATH",
    path: "file",
    help: "Certificate for --metrics-secure (PEM). It is read again when it changes.",
    default: "",
    defaultIs: "one that the agent signs itself",
    parse: take.absolutePathOrEmpty,
  },
  metricsKey: {
    name: "metrics-key",
    env: "NETWORK_DRA_METRICS_KEY",
    takes: "PATH",
    path: "file",
    help: "Key of --metrics-cert (PEM).",
    default: "",
    parse: take.absolutePathOrEmpty,
  },
  tracesEndpoint: {
    name: "traces-endpoint",
    env: "NETWORK_DRA_TRACES_ENDPOINT",
    takes: "URL",
    help:
      "OpenTelemetry collector (OTLP over HTTP), such as http://10.0.0.5:4318. It receives a trace of " +
      "how each pod gets its networks. Empty turns that off.",
    default: "",
    parse: take.collectorOrEmpty,
  },
  logLevel: {
    name: "log-level",
    env: "NETWORK_DRA_LOG_LEVEL",
    takes: "LEVEL",
    help: "The lowest level of messages to log.",
    default: "info",
    parse: take.oneOf("debug", "info", "warn", "error"),
  },
  logFormat: {
    name: "log-format",
    env: "NETWORK_DRA_LOG_FORMAT",
    takes: "FORMAT",
    help: "Format of the log.",
    default: "text",
    parse: take.oneOf("text", "json"),
  },
} as const satisfies Flags;

export const CONFIG_FLAG = {
  name: "config",
  env: "NETWORK_DRA_CONFIG",
  takes: "PATH",
  path: "file",
  help: "YAML file with the same settings in camelCase, and with interfaces and policy.",
  parse: take.filePath,
} as const satisfies Flag<string>;

export const RUN = {
  name: "run",
  summary: "Run the agent of this node.",
  description: [
    "Runs the agent of this node until SIGTERM or SIGINT. The agent serves the kubelet and the " +
    "container runtime, and needs root.",
    "A flag overrides its environment variable, which overrides the configuration file.",
  ],
  flags: { ...RUN_SETTINGS, config: CONFIG_FLAG },
  settings: RUN_SETTINGS,
  examples: [
    {
      what: "On a node, with a kubeconfig:",
      line: "network-dra run --node-name node-1 --kubeconfig /etc/network-dra/kubeconfig",
    },
    {
      what: "With a configuration file:",
      line: "network-dra run --config /etc/network-dra/config.yaml",
    },
  ],
  exitCodes: { 0: "The agent was asked to stop, and has stopped.", ...EXIT_CODES },
} as const satisfies Command;

export const READY = {
  name: "ready",
  summary: "Tell whether the agent serves the kubelet.",
  description: [
    "Tells whether the agent that was started with the same flags serves the kubelet, whether it " +
    "leads or stands by. While it does not, lists what the agent lacks. The chart uses it as its " +
    "startup probe.",
  ],
  flags: RUN.flags,
  settings: RUN.settings,
  examples: [
    {
      what: "In the agent's pod:",
      line: "kubectl exec -n kube-system POD -- /network-dra ready",
    },
  ],
  exitCodes: { 0: "The agent serves the kubelet.", 1: "It does not.", 2: EXIT_CODES[2] },
} as const satisfies Command;
