import { parseArgs } from "node:util";
import type { InterfacePatterns } from "../inventory/offered_links.ts";
import { didYouMean } from "../claim/did_you_mean.ts";
import { join, show } from "../claim/field.ts";
import type { Policy } from "../claim/policy.ts";
import { socketPaths } from "../dra/socket_paths.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import { readInterfacePatterns } from "./interface_patterns.ts";
import { readPolicy } from "./policy_file.ts";
import * as take from "./settings.ts";
import type { Setting } from "./settings.ts";
import { UsageError } from "./usage_error.ts";

/** Everything that `network-dra run` can be told. */
export interface RunConfig {
  readonly nodeName: string;
  /** UID of the pod that the agent runs in, where it runs in one. */
  readonly podUid?: string;
  readonly driverName: string;
  readonly kubeletDir: string;
  readonly nriSocket: string;
  /** Where the container runtime keeps the network namespaces of pods. */
  readonly netnsDir: string;
  readonly pluginName: string;
  readonly pluginIndex: string;
  readonly cniPath: readonly string[];
  /** The root folder in which plugins run; empty where it is this process's own. */
  readonly chrootDir: string;
  /** Milliseconds. */
  readonly cniTimeout: number;
  readonly stateDir: string;
  /** Empty turns CDI off. */
  readonly cdiDir: string;
  /** Whether containers that name a claim can read what it got. */
  readonly deviceMetadata: boolean;
  readonly kubeconfig?: string;
  readonly concurrency: number;
  /** Where health and metrics are served; null turns that off. */
  readonly listen: { readonly hostname: string; readonly port: number } | null;
  /** Which of the node's interfaces are devices; in the file alone. */
  readonly interfaces: InterfacePatterns;
  /** What parameters of claims may hold; in the file alone. */
  readonly policy: Policy;
  /** The folder of the networks that claims may name; empty where there is none. */
  readonly networkDir: string;
  readonly attachmentsPerInterface: number;
  readonly copiesPerInterface: number;
  /** Milliseconds from one round of CHECK to the next; 0 for none. */
  readonly checkInterval: number;
  readonly repair: boolean;
  readonly gcNetworks: readonly string[];
  readonly sysfsDir: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "text" | "json";
}

type Settings = {
  readonly [K in Exclude<keyof RunConfig, "interfaces" | "policy">]-?: Setting<
    Exclude<RunConfig[K], undefined>
  >;
};

const SETTINGS: Settings = {
  nodeName: {
    flag: "node-name",
    env: "NODE_NAME",
    takes: "NAME",
    help: "name of the node; default: the host name",
    parse: take.name,
  },
  podUid: {
    flag: "pod-uid",
    env: "POD_UID",
    takes: "UID",
    help: "UID of the agent's pod, so that two agents can be there during a rolling update",
    parse: take.podUid,
  },
  driverName: {
    flag: "driver-name",
    aliases: ["dra-driver-name"],
    env: "NETWORK_DRA_DRIVER_NAME",
    takes: "NAME",
    help: "name of the DRA driver in claims and device classes",
    fallback: "dra.networking",
    parse: take.driverName,
  },
  kubeletDir: {
    flag: "kubelet-dir",
    env: "NETWORK_DRA_KUBELET_DIR",
    takes: "PATH",
    help: "the kubelet's root folder",
    fallback: "/var/lib/kubelet",
    parse: take.absolutePath,
  },
  nriSocket: {
    flag: "nri-socket",
    env: "NETWORK_DRA_NRI_SOCKET",
    takes: "PATH",
    help: "the container runtime's NRI socket",
    fallback: "/var/run/nri/nri.sock",
    parse: take.socketPath,
  },
  netnsDir: {
    flag: "netns-dir",
    env: "NETWORK_DRA_NETNS_DIR",
    takes: "PATH",
    help: "where the container runtime keeps the network namespaces of pods",
    fallback: "/var/run/netns",
    parse: take.absolutePath,
  },
  pluginName: {
    flag: "plugin-name",
    env: "NETWORK_DRA_PLUGIN_NAME",
    takes: "NAME",
    help: "name of the NRI plugin",
    fallback: "network-dra",
    parse: take.pluginName,
  },
  pluginIndex: {
    flag: "plugin-index",
    env: "NETWORK_DRA_PLUGIN_INDEX",
    takes: "NN",
    help: "where the NRI plugin stands among others",
    fallback: "53",
    parse: take.pluginIndex,
  },
  cniPath: {
    flag: "cni-path",
    env: "NETWORK_DRA_CNI_PATH",
    takes: "PATH[:PATH…]",
    help: "folders of the CNI plugins",
    fallback: "/opt/cni/bin",
    parse: take.searchPath,
  },
  chrootDir: {
    flag: "chroot-dir",
    env: "NETWORK_DRA_CHROOT_DIR",
    takes: "PATH",
    help:
      "where the node's root folder is mounted; plugins run in it; default: the agent's own root",
    fallback: "",
    parse: take.otherRootOrEmpty,
  },
  cniTimeout: {
    flag: "cni-timeout",
    env: "NETWORK_DRA_CNI_TIMEOUT",
    takes: "TIME",
    help: "how long one operation of a CNI plugin may take",
    fallback: "30s",
    parse: take.duration,
  },
  stateDir: {
    flag: "state-dir",
    aliases: ["cni-cache-dir"],
    env: "NETWORK_DRA_STATE_DIR",
    takes: "PATH",
    help: "where the agent keeps its records",
    fallback: "/var/lib/network-dra",
    parse: take.absolutePath,
  },
  cdiDir: {
    flag: "cdi-dir",
    env: "NETWORK_DRA_CDI_DIR",
    takes: "PATH",
    help: "where the container runtime looks for CDI specs; empty turns CDI off",
    fallback: "/var/run/cdi",
    parse: take.absolutePathOrEmpty,
  },
  deviceMetadata: {
    flag: "device-metadata",
    env: "NETWORK_DRA_DEVICE_METADATA",
    takes: "true|false",
    help: "containers that name a claim find a file with its interfaces and addresses (KEP-5304)",
    fallback: "true",
    parse: take.yesOrNo,
  },
  kubeconfig: {
    flag: "kubeconfig",
    env: "KUBECONFIG",
    takes: "PATH",
    help: "how to reach the API server; default: the pod's ServiceAccount",
    parse: take.absolutePath,
  },
  concurrency: {
    flag: "concurrency",
    env: "NETWORK_DRA_CONCURRENCY",
    takes: "NUMBER",
    help: "CNI operations at once that have not begun to wait; default: twice the number of cores",
    parse: take.wholeNumber({ least: 1, most: 1024 }),
  },
  attachmentsPerInterface: {
    flag: "attachments-per-interface",
    env: "NETWORK_DRA_ATTACHMENTS_PER_INTERFACE",
    takes: "NUMBER",
    help: "attachments that one interface of the node takes",
    fallback: "256",
    parse: take.wholeNumber({ least: 1, most: 1_000_000 }),
  },
  copiesPerInterface: {
    flag: "copies-per-interface",
    env: "NETWORK_DRA_COPIES_PER_INTERFACE",
    takes: "NUMBER",
    help: "the same where the cluster cannot share devices (before Kubernetes 1.36)",
    fallback: "16",
    parse: take.wholeNumber({ least: 1, most: 256 }),
  },
  checkInterval: {
    flag: "check-interval",
    env: "NETWORK_DRA_CHECK_INTERVAL",
    takes: "TIME",
    help: "how often attached networks are checked; 0 turns that off",
    fallback: "60s",
    parse: take.durationOrZero,
  },
  repair: {
    flag: "repair",
    env: "NETWORK_DRA_REPAIR",
    help: "attach anew what is found lost",
    fallback: "false",
    parse: take.yesOrNo,
  },
  gcNetworks: {
    flag: "gc-networks",
    env: "NETWORK_DRA_GC_NETWORKS",
    takes: "NAME[,NAME…]",
    help: "networks that nobody else attaches, of which left-overs are collected",
    fallback: "",
    parse: take.networkNames,
  },
  sysfsDir: {
    flag: "sysfs-dir",
    env: "NETWORK_DRA_SYSFS_DIR",
    takes: "PATH",
    help: "where the node's sysfs is mounted",
    fallback: "/sys",
    parse: take.absolutePath,
  },
  networkDir: {
    flag: "network-dir",
    env: "NETWORK_DRA_NETWORK_DIR",
    takes: "PATH",
    help: "folder of CNI configurations that claims may use by name",
    fallback: "",
    parse: take.absolutePathOrEmpty,
  },
  listen: {
    flag: "listen",
    env: "NETWORK_DRA_LISTEN",
    takes: "HOST:PORT",
    help: "where health and metrics are served; empty turns that off",
    fallback: "127.0.0.1:9177",
    parse: take.listenAddress,
  },
  logLevel: {
    flag: "log-level",
    env: "NETWORK_DRA_LOG_LEVEL",
    takes: "LEVEL",
    help: "debug, info, warn or error",
    fallback: "info",
    parse: take.oneOf("debug", "info", "warn", "error"),
  },
  logFormat: {
    flag: "log-format",
    env: "NETWORK_DRA_LOG_FORMAT",
    takes: "FORMAT",
    help: "text or json",
    fallback: "text",
    parse: take.oneOf("text", "json"),
  },
};

const CONFIG = { flag: "config", env: "NETWORK_DRA_CONFIG" };

/** The environment variables that are read. */
export const ENVIRONMENT: readonly string[] = [
  CONFIG.env,
  ...Object.values(SETTINGS).map(({ env }) => env),
];

export interface Surroundings {
  readonly env: (name: string) => string | undefined;
  readonly readFile: (path: string) => string;
  readonly hostname: () => string;
  readonly cores: number;
}

/** A flag goes before its environment variable, that before the configuration file, that before the default. */
export function parseRunConfig(argv: readonly string[], surroundings: Surroundings): RunConfig {
  const flags = readFlags(argv);
  const path = flags.get(CONFIG.flag) ?? surroundings.env(CONFIG.env);
  const { settings: file, interfaces, policy } = path === undefined
    ? { settings: new Map<string, string>(), interfaces: {}, policy: {} }
    : readConfigFile(path, surroundings);
  const config: Record<string, unknown> = {
    interfaces,
    policy,
    nodeName: surroundings.hostname(),
    concurrency: 2 * surroundings.cores,
  };
  for (const [key, setting] of Object.entries(SETTINGS) as [string, Setting<unknown>][]) {
    const given: [string, string | undefined][] = [
      [`--${setting.flag}`, flags.get(setting.flag)],
      [setting.env, surroundings.env(setting.env)],
      [`${path}: ${key}`, file.get(key)],
    ];
    const [source, text] = given.find(([, value]) => value !== undefined) ?? ["", setting.fallback];
    if (text === undefined) continue;
    try {
      config[key] = setting.parse(text);
    } catch (error) {
      throw new UsageError(
        `${source}: ${show(text)} is not possible; it takes ${(error as Error).message}`,
      );
    }
  }
  const whole = config as unknown as RunConfig;
  try {
    socketPaths({ ...whole, driver: whole.driverName });
  } catch (error) {
    throw new UsageError(`--driver-name: ${(error as Error).message}`);
  }
  return whole;
}

/** The settings of the configuration file, but for `interfaces` and `policy`. */
export function describeSettings(): {
  readonly key: string;
  readonly help: string;
  readonly fallback?: string;
}[] {
  return Object.entries<Setting<unknown>>(SETTINGS).map(([key, { help, fallback }]) => ({
    key,
    help,
    ...(fallback !== undefined && { fallback }),
  }));
}

/** The flags with what they are for. */
export function describeFlags(): string {
  const rows = Object.values<Setting<unknown>>(SETTINGS).map((
    { flag, takes, help, fallback, env },
  ) => [
    `  --${flag}${takes === undefined ? "" : ` ${takes}`}`,
    `${help}${fallback === undefined ? "" : ` (${fallback})`} [${env}]`,
  ]);
  const file = "a YAML file with the same settings in camelCase, interfaces and policy";
  rows.push(["  --config PATH", `${file} [${CONFIG.env}]`]);
  const width = Math.max(...rows.map(([left]) => left!.length)) + 2;
  return rows.map(([left, right]) => `${left!.padEnd(width)}${right}`).join("\n");
}

function readFlags(argv: readonly string[]): Map<string, string> {
  const canonical = new Map<string, string>([[CONFIG.flag, CONFIG.flag]]);
  const options: Record<string, { type: "string" | "boolean" }> = {
    [CONFIG.flag]: { type: "string" },
  };
  for (const { flag, aliases, takes } of Object.values<Setting<unknown>>(SETTINGS)) {
    for (const spelling of [flag, ...aliases ?? []]) {
      canonical.set(spelling, flag);
      options[spelling] = { type: takes === undefined ? "boolean" : "string" };
    }
  }
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    values = parseArgs({ args: [...argv], options, allowPositionals: false }).values;
  } catch (error) {
    // The first line says what is wrong; what follows explains getopt.
    throw new UsageError((error as Error).message.split(". ")[0]!);
  }
  return new Map(
    Object.entries(values).flatMap(([flag, value]) =>
      value === undefined ? [] : [[canonical.get(flag)!, String(value)]]
    ),
  );
}

function readConfigFile(
  path: string,
  { readFile }: Surroundings,
): {
  readonly settings: Map<string, string>;
  readonly interfaces: InterfacePatterns;
  readonly policy: Policy;
} {
  let content: unknown;
  try {
    content = parseConfigYaml(readFile(path)) ?? {};
  } catch (error) {
    throw new UsageError(`--config: ${path} cannot be read: ${(error as Error).message}`);
  }
  if (typeof content !== "object" || Array.isArray(content)) {
    throw new UsageError(`--config: ${path} must hold settings, one a line`);
  }
  const settings = new Map<string, string>();
  const { interfaces, policy, ...single } = content as Record<string, unknown>;
  for (const [key, value] of Object.entries(single)) {
    if (!Object.hasOwn(SETTINGS, key)) {
      const known = [...Object.keys(SETTINGS), "interfaces", "policy"];
      throw new UsageError(
        `${path}: ${join("", key)} is not known; known are ${known.join(", ")}${
          didYouMean(key, known)
        }`,
      );
    }
    if (!["string", "number", "boolean"].includes(typeof value)) {
      throw new UsageError(`${path}: ${key}: ${show(value)} must be a single value`);
    }
    settings.set(key, String(value));
  }
  return {
    settings,
    interfaces: readInterfacePatterns(interfaces, path),
    policy: readPolicy(policy, path),
  };
}
