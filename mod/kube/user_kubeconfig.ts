import { KubeConfig } from "@kubernetes/client-node/config";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { errorMessage } from "../async/error_message.ts";
import { loadFile } from "./connection.ts";

/** Which cluster a user means. */
export interface UserCluster {
  /** `--kubeconfig`, or the variable `KUBECONFIG`, which can name several files. */
  readonly kubeconfig?: string;
  /** `--context`. */
  readonly context?: string;
  /** The user's home folder. */
  readonly home?: string;
  /** What separates files in `KUBECONFIG`; this system's unless told. */
  readonly separator?: string;
}

/** A user's kubeconfig, with the namespace of the context. */
export interface UserKubeconfig {
  readonly config: KubeConfig;
  readonly namespace: string;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/**
 * Finds the kubeconfig as kubectl does: `--kubeconfig`, `KUBECONFIG`, `~/.kube/config`, and in a pod
 * its ServiceAccount.
 *
 * @throws Error that says which file is wrong, or that there is none
 */
export function userKubeconfig(
  { kubeconfig, context, home, separator = delimiter }: UserCluster,
): UserKubeconfig {
  const config = new KubeConfig();
  const usual = home === undefined ? undefined : join(home, ".kube", "config");
  const named = kubeconfig?.split(separator).filter((path) => path !== "") ?? [];
  // kubectl passes over files of KUBECONFIG that are not there.
  const files = named.length > 1 ? named.filter((path) => existsSync(path)) : named;
  if (files.length === 0 && named.length === 0 && usual && existsSync(usual)) files.push(usual);
  if (files.length > 0) {
    for (const [i, path] of files.entries()) {
      const one = i === 0 ? config : new KubeConfig();
      load(one, path);
      if (i > 0) merge(config, one);
    }
  } else if (named.length === 0 && existsSync(SERVICE_ACCOUNT)) {
    config.loadFromCluster();
  } else {
    throw new Error(
      named.length > 0
        ? `KUBECONFIG: there is none of ${named.join(", ")}`
        : `there is no kubeconfig: give --kubeconfig, set KUBECONFIG, or create ${
          usual ?? "~/.kube/config"
        }`,
    );
  }
  return inContext(config, context, files.join(", ") || "the ServiceAccount");
}

/** As kubectl does: of two of a name, the first counts; the library's own takes the last context. */
function merge(into: KubeConfig, from: KubeConfig): void {
  into.clusters = added(into.clusters, from.clusters);
  into.users = added(into.users, from.users);
  into.contexts = added(into.contexts, from.contexts);
  if (!into.currentContext) into.currentContext = from.currentContext;
}

function added<T extends { readonly name: string }>(first: readonly T[], more: readonly T[]): T[] {
  const names = new Set(first.map(({ name }) => name));
  return [...first, ...more.filter(({ name }) => !names.has(name))];
}

function load(config: KubeConfig, path: string): void {
  try {
    loadFile(config, path);
  } catch (error) {
    // What follows the first line repeats the file, which holds credentials.
    const [first] = errorMessage(error).split("\n");
    // The library reads fields of what it takes for an object.
    const problem = error instanceof TypeError
      ? "it must have clusters, users and contexts, each a list"
      : first;
    throw new Error(
      problem!.includes(path) ? problem : `${path}: is not a kubeconfig: ${problem}`,
      { cause: error },
    );
  }
}

function inContext(config: KubeConfig, context: string | undefined, from: string): UserKubeconfig {
  const names = config.getContexts().map(({ name }) => name);
  if (names.length === 0) {
    throw new Error(`${from}: it has no contexts: it is empty, or is not a kubeconfig`);
  }
  if (context !== undefined && !names.includes(context)) {
    throw new Error(
      `${from}: there is no context ${JSON.stringify(context)}; there are: ${names.join(", ")}`,
    );
  }
  if (context !== undefined) config.setCurrentContext(context);
  // The library refuses plain HTTP, such as that of `kubectl proxy`, unless TLS is said not to matter.
  config.clusters = config.clusters.map((cluster) =>
    cluster.server?.startsWith("http:") ? { ...cluster, skipTLSVerify: true } : cluster
  );
  const current = config.getContextObject(config.getCurrentContext());
  if (!current) {
    const set = config.getCurrentContext();
    const why = set
      ? `there is no current context ${JSON.stringify(set)}`
      : "no current context is set";
    throw new Error(`${from}: ${why}; give --context, one of: ${names.join(", ")}`);
  }
  return { config, namespace: current.namespace || "default" };
}
