import type { InterfacePatterns } from "../inventory/offered_links.ts";
import type { Policy } from "../claim/policy.ts";
import { socketPaths } from "../dra/socket_paths.ts";
import { CONFIG_FLAG, RUN, RUN_SETTINGS } from "./commands/run.ts";
import { type ConfigFile, EMPTY_CONFIG_FILE, readConfigFile } from "./config_file.ts";
import type { Flag } from "./flag.ts";
import { givenBy, settle } from "./flag_values.ts";
import { UsageError } from "./usage_error.ts";
import { checkArguments, type Given, readWords } from "./words.ts";

/** All settings of `network-dra run`. */
export interface RunConfig {
  readonly nodeName: string;
  /** UID of the agent's pod, if it runs in one. */
  readonly podUid?: string;
  readonly driverName: string;
  readonly kubeletDir: string;
  readonly nriSocket: string;
  /** Where the container runtime keeps the network namespaces of pods. */
  readonly netnsDir: string;
  readonly pluginName: string;
  readonly pluginIndex: string;
  readonly cniPath: readonly string[];
  /** The root folder in which plugins run; empty for this process's own root. */
  readonly chrootDir: string;
  /** Milliseconds. */
  readonly cniTimeout: number;
  readonly stateDir: string;
  /** Empty turns CDI off. */
  readonly cdiDir: string;
  /** Whether containers that name a claim get a file with its interfaces and addresses. */
  readonly deviceMetadata: boolean;
  readonly kubeconfig?: string;
  readonly concurrency: number;
  /** Where health and metrics are served; null turns that off. */
  readonly listen: { readonly hostname: string; readonly port: number } | null;
  /** Where metrics are served by HTTPS to those who may read them; null turns that off. */
  readonly metricsSecure: { readonly hostname: string; readonly port: number } | null;
  /** Paths of the certificate for that and of its key; empty if the agent signs one itself. */
  readonly metricsCert: string;
  readonly metricsKey: string;
  /** URL of an OpenTelemetry collector, without a path; empty turns traces off. */
  readonly tracesEndpoint: string;
  /** Which of the node's interfaces are devices; only in the file. */
  readonly interfaces: InterfacePatterns;
  /** What parameters of claims may contain; only in the file. */
  readonly policy: Policy;
  /** The folder of the networks that claims may name; empty for none. */
  readonly networkDir: string;
  /** Whether claims can name Networks of the cluster. */
  readonly networkObjects: boolean;
  /** Whether claims can name NetworkAttachmentDefinitions. */
  readonly networkAttachmentDefinitions: boolean;
  /** Milliseconds for which both are used once the API server does not answer; 0 for no limit. */
  readonly networkCacheTime: number;
  /** Of the Lease whose holder does what one agent of the cluster does for all. */
  readonly leaseNamespace: string;
  readonly attachmentsPerInterface: number;
  readonly copiesPerInterface: number;
  /** Milliseconds between two rounds of CHECK; 0 for none. */
  readonly checkInterval: number;
  readonly repair: boolean;
  readonly gcNetworks: readonly string[];
  readonly sysfsDir: string;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  readonly logFormat: "text" | "json";
}

/** The flags of the table have the types that the agent is configured with. */
type Settings = {
  readonly [K in Exclude<keyof RunConfig, "interfaces" | "policy">]-?: Flag<
    Exclude<RunConfig[K], undefined>
  >;
};
const SETTINGS = RUN_SETTINGS satisfies Settings;

export interface Surroundings {
  readonly env: (name: string) => string | undefined;
  readonly readFile: (path: string) => string;
  readonly hostname: () => string;
  readonly cores: number;
}

export interface GivenConfig {
  readonly config: RunConfig;
  /** Where each given setting comes from, such as `--kubeconfig` or `KUBECONFIG`. */
  readonly places: Readonly<Partial<Record<keyof RunConfig, string>>>;
  /** The same, with the text that was given there. */
  readonly given: Readonly<Partial<Record<keyof RunConfig, Given>>>;
  /** The configuration file, where there is one. */
  readonly file?: string;
}

/**
 * Reads the agent's settings. A flag overrides its environment variable, which overrides the configuration
 * file, which overrides the default.
 *
 * @throws UsageError with the place of the invalid setting, and what it must be
 */
export function readRunConfig(argv: readonly string[], surroundings: Surroundings): GivenConfig {
  const { env, readFile, hostname, cores } = surroundings;
  const words = readWords(RUN, argv);
  checkArguments(RUN, words.args);
  const placesOf = (flag: Flag<unknown>) => givenBy(flag, { words, env });
  const { values: { config: path }, places: { config: at } } = settle(
    { config: CONFIG_FLAG },
    placesOf,
  );
  const { settings: file, interfaces, policy }: ConfigFile = path === undefined
    ? EMPTY_CONFIG_FILE
    : readConfigFile(path, { at: at!, readFile });
  const { values, places, given } = settle(SETTINGS, (flag, key) => [
    ...placesOf(flag),
    { from: "file", at: `${path}: ${key}`, text: file.get(key) },
  ]);
  const config: RunConfig = {
    ...values,
    nodeName: values.nodeName ?? hostname(),
    concurrency: values.concurrency ?? 2 * cores,
    interfaces,
    policy,
  };
  try {
    socketPaths({ ...config, driver: config.driverName });
  } catch (error) {
    throw new UsageError(`${places.driverName ?? "--driver-name"}: ${(error as Error).message}`);
  }
  if ((config.metricsCert === "") !== (config.metricsKey === "")) {
    const [given, missing] = config.metricsCert === ""
      ? [places.metricsKey, "--metrics-cert"]
      : [places.metricsCert, "--metrics-key"];
    throw new UsageError(`${given}: give ${missing} too: a certificate and its key go together`);
  }
  return { config, places, given, ...(path !== undefined && { file: path }) };
}

/** As readRunConfig(), without the places. */
export function parseRunConfig(argv: readonly string[], surroundings: Surroundings): RunConfig {
  return readRunConfig(argv, surroundings).config;
}
