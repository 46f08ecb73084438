/** Manifests of what users write. */
import { macvlan, type NetworkOptions } from "../support/claims.ts";
import type { Manifest } from "./api.ts";

const GROUP_VERSION = "resource.k8s.io/v1";
/** As the chart installs it. */
export const DRIVER = "dra.networking";

/** The class that most claims name, and that is installed with the agent. */
export const CLASS = "network-interface";

/** Selects this driver's devices, and says how they are configured where it is asked to. */
export function deviceClass(
  { name, expression = ofType("cni"), parameters }: {
    readonly name: string;
    readonly expression?: string;
    readonly parameters?: unknown;
  },
): Manifest {
  return {
    apiVersion: GROUP_VERSION,
    kind: "DeviceClass",
    metadata: { name },
    spec: {
      selectors: [{ cel: { expression } }],
      ...(parameters !== undefined && { config: [{ opaque: { driver: DRIVER, parameters } }] }),
    },
  };
}

/** Selects this driver's devices of a type. */
function ofType(type: string): string {
  return `device.driver == "${DRIVER}" && device.attributes["${DRIVER}"].type == "${type}"`;
}

/** Selects the node's interface with that name. */
export function ofInterface(name: string): string {
  return `device.driver == "${DRIVER}" && ` +
    `device.attributes["${DRIVER}"].?interface.orValue("") == "${name}"`;
}

/** A request: a network with its own configuration. */
export interface RequestOptions extends NetworkOptions {
  readonly parameters?: unknown;
}

function claimSpec(networks: readonly RequestOptions[]) {
  return {
    devices: {
      requests: networks.map(({ name }) => ({ name, exactly: { deviceClassName: CLASS } })),
      config: networks.map((network) => ({
        requests: [network.name],
        opaque: { driver: DRIVER, parameters: network.parameters ?? parametersOf(network) },
      })),
    },
  };
}

export function parametersOf(network: NetworkOptions) {
  return {
    ...(network.interface && { interface: network.interface }),
    config: macvlan(network),
  };
}

export function claim(name: string, networks: readonly RequestOptions[]): Manifest {
  return claimWith(name, claimSpec(networks));
}

export function claimWith(name: string, spec: unknown): Manifest {
  return { apiVersion: GROUP_VERSION, kind: "ResourceClaim", metadata: { name }, spec };
}

export function claimTemplate(name: string, networks: readonly RequestOptions[]): Manifest {
  const spec = { spec: claimSpec(networks) };
  return { apiVersion: GROUP_VERSION, kind: "ResourceClaimTemplate", metadata: { name }, spec };
}

export interface PodOptions {
  readonly claims?: readonly string[];
  readonly templates?: readonly string[];
  readonly command?: readonly string[];
  readonly readOnlyRoot?: boolean;
  /** The node on which it is to run, where it matters. */
  readonly node?: string;
}

/** A pod's spec, all of whose claims its one container uses. */
export function podSpec(
  { claims = [], templates = [], command = ["sleep", "infinity"], readOnlyRoot = false, node }:
    PodOptions = {},
) {
  return {
    terminationGracePeriodSeconds: 1,
    ...(node && { nodeSelector: { "kubernetes.io/hostname": node } }),
    containers: [{
      name: "main",
      image: "busybox",
      imagePullPolicy: "IfNotPresent",
      command,
      securityContext: { readOnlyRootFilesystem: readOnlyRoot },
      resources: { claims: [...claims, ...templates].map((name) => ({ name })) },
    }],
    resourceClaims: [
      ...claims.map((name) => ({ name, resourceClaimName: name })),
      ...templates.map((name) => ({ name, resourceClaimTemplateName: name })),
    ],
  };
}

export function pod(name: string, options: PodOptions = {}): Manifest {
  return { apiVersion: "v1", kind: "Pod", metadata: { name }, spec: podSpec(options) };
}

export function deployment(
  name: string,
  { replicas, ...options }: PodOptions & { readonly replicas: number },
): Manifest {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec(options) },
    },
  };
}

/** Its pods have the names `NAME-0`, `NAME-1`, …, and one is replaced only once it is gone. */
export function statefulSet(
  name: string,
  { replicas, ...options }: PodOptions & { readonly replicas: number },
): Manifest {
  const { spec, ...rest } = deployment(name, { replicas, ...options });
  return { ...rest, kind: "StatefulSet", spec: { ...spec as object, serviceName: name } };
}

/** Runs its pods to their end, their containers never twice where no `restarts` are given. */
export function job(
  name: string,
  { completions, parallelism, restarts = 0, ...options }: PodOptions & {
    readonly completions: number;
    readonly parallelism: number;
    readonly restarts?: number;
  },
): Manifest {
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: {
      completions,
      parallelism,
      backoffLimit: restarts,
      template: {
        spec: { ...podSpec(options), restartPolicy: restarts > 0 ? "OnFailure" : "Never" },
      },
    },
  };
}
