import { dirname, resolve } from "node:path";
import { parse as parseYaml } from "yaml";
import { errorMessage } from "../async/error_message.ts";

/** What the agent needs to reach the API server. */
export interface ApiAccess {
  /** `host:port`. */
  readonly host: string;
  /** Files and folders that hold credentials. */
  readonly files: readonly string[];
}

/** Where a pod finds its ServiceAccount. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const PORTS: Readonly<Record<string, string>> = { "https:": "443", "http:": "80" };

interface Kubeconfig {
  readonly "current-context"?: string;
  readonly contexts?: readonly Named<
    "context",
    { readonly cluster: string; readonly user: string }
  >[];
  readonly clusters?: readonly Named<"cluster", Readonly<Record<string, unknown>>>[];
  readonly users?: readonly Named<"user", Readonly<Record<string, unknown>>>[];
}
type Named<K extends string, V> = { readonly name: string } & { readonly [key in K]?: V };

function parse(text: string, path: string): Kubeconfig {
  let content: unknown;
  try {
    content = parseYaml(text, { prettyErrors: false });
  } catch (error) {
    // The lines after the first one repeat the file, which contains credentials.
    throw new Error(`${path}: is not valid YAML: ${errorMessage(error).split("\n")[0]}`);
  }
  if (content === null || typeof content !== "object") {
    throw new Error(`${path}: is not a kubeconfig`);
  }
  return content;
}

/**
 * What a kubeconfig, or the pod's ServiceAccount, names: read before the agent is checked against it.
 *
 * @throws Error that says what is missing, or what an agent cannot use
 */
export function apiAccess(
  kubeconfig: string | undefined,
  { env, readFile }: {
    readonly env: (name: string) => string | undefined;
    readonly readFile: (path: string) => string;
  },
): ApiAccess {
  if (kubeconfig === undefined) {
    const [host, port] = [env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT")];
    if (!host) {
      throw new Error(
        "--kubeconfig is required outside of a cluster (KUBERNETES_SERVICE_HOST is not set)",
      );
    }
    const bracketed = host.includes(":") ? `[${host}]` : host;
    return { host: `${bracketed}:${port || "443"}`, files: [SERVICE_ACCOUNT] };
  }
  const content = parse(readFile(kubeconfig), kubeconfig);
  const context = content.contexts?.find(({ name }) => name === content["current-context"])
    ?.context;
  const cluster = content.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = content.users?.find(({ name }) => name === context?.user)?.user ?? {};
  const server = cluster?.server;
  if (typeof server !== "string" || !URL.canParse(server)) {
    throw new Error(`${kubeconfig}: the current context has no cluster with a server`);
  }
  for (const key of ["exec", "auth-provider"]) {
    if (user[key] === undefined) continue;
    throw new Error(
      `${kubeconfig}: users: ${key} is not supported, for the agent runs nothing but CNI plugins: ` +
        "give a token, tokenFile or client certificate",
    );
  }
  const unused = [
    ...["proxy-url", "tls-server-name"].filter((key) => cluster![key]).map((key) =>
      `clusters: ${key}`
    ),
    ...["as", "username"].filter((key) => user[key]).map((key) => `users: ${key}`),
  ];
  if (unused.length > 0) {
    throw new Error(`${kubeconfig}: ${unused.join(", ")}: not supported, leave it out`);
  }
  const { protocol, hostname, port } = new URL(server);
  const named = [
    cluster!["certificate-authority"],
    user["client-certificate"],
    user["client-key"],
    user.tokenFile,
  ];
  const files = named.filter((path) => typeof path === "string" && path !== "")
    .map((path) => resolve(dirname(kubeconfig), path as string));
  return { host: `${hostname}:${port || PORTS[protocol]}`, files: [kubeconfig, ...files] };
}
