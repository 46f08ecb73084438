/** What the tests read of the objects in deploy/. */
import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { parseRunConfig, type RunConfig } from "../../mod/cmd/run_config.ts";

interface Named {
  readonly name: string;
}

export interface Mount extends Named {
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly mountPropagation?: string;
}

export interface Volume extends Named {
  readonly hostPath?: { readonly path: string; readonly type?: string };
}

export interface Probe {
  readonly httpGet: { readonly host: string; readonly port: number; readonly path: string };
}

export interface AgentContainer extends Named {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly unknown[];
  readonly securityContext: {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop: readonly string[]; readonly add?: readonly string[] };
    readonly seccompProfile?: { readonly type: string };
  };
  readonly volumeMounts: readonly Mount[];
  readonly startupProbe: { readonly exec: { readonly command: readonly string[] } };
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
}

export interface AgentPod {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly initContainers?: readonly AgentContainer[];
  readonly containers: readonly AgentContainer[];
  readonly volumes: readonly Volume[];
}

export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface DaemonSet extends ApiObject {
  readonly spec: {
    readonly updateStrategy: { readonly rollingUpdate: unknown };
    readonly template: { readonly metadata: unknown; readonly spec: AgentPod };
  };
}

/** The objects of a YAML file. @throws Error where it is no YAML, or holds a key twice */
export function readObjects(yaml: string): ApiObject[] {
  const documents = parseAllDocuments(yaml, { version: "1.1", uniqueKeys: true });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    for (const problem of [...document.errors, ...document.warnings]) throw problem;
    return document.toJS() ?? [];
  });
}

/** The only object of a kind. */
export function only<T extends ApiObject>(objects: readonly ApiObject[], kind: string): T {
  const found = objects.filter((object) => object.kind === kind);
  if (found.length !== 1) throw new Error(`there are ${found.length} objects of kind ${kind}`);
  return found[0] as T;
}

/** The agent's pod as the DaemonSet makes it, with its one container. */
export function agentPod(yaml: string): { readonly pod: AgentPod; readonly agent: AgentContainer } {
  const pod = only<DaemonSet>(readObjects(yaml), "DaemonSet").spec.template.spec;
  const [agent, ...others] = pod.containers;
  if (!agent || others.length > 0) throw new Error("the pod must have one container");
  return { pod, agent };
}

/** What the agent makes of a container's arguments, which begin with the command. */
export function configOf(
  args: readonly string[],
  files: Readonly<Record<string, string>> = {},
): RunConfig {
  const [command, ...flags] = args;
  assert.equal(command, "run");
  return parseRunConfig(flags, {
    env: () => undefined,
    readFile: (path) => files[path] ?? assert.fail(`${path} is not mounted`),
    hostname: () => "node-1",
    cores: 2,
  });
}

/** The configuration file as the agent's container has it. */
export function configFile(yaml: string): Record<string, string> {
  const { data } = only(readObjects(yaml), "ConfigMap") as unknown as {
    readonly data: Readonly<Record<string, string>>;
  };
  return { "/etc/network-dra/config.yaml": data["config.yaml"]! };
}
