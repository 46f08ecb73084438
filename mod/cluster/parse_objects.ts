import type {
  AgentPod,
  AllocatedObject,
  ClaimObject,
  ClaimSpecObject,
  ClassObject,
  ConditionObject,
  ConfigObject,
  ConfiguredNetwork,
  DeviceStatusObject,
  EventObject,
  NodeObject,
  PodObject,
  RequestObject,
  SliceDeviceObject,
  SliceObject,
  TemplateObject,
  WaitingContainer,
} from "./objects.ts";

/**
 * An object as the API server gives it. It has checked all but opaque parameters, so fields are read
 * without checks of their own; those that are not there are undefined.
 */
// deno-lint-ignore no-explicit-any
type Raw = any;

/** The label by which the chart marks the agent's pods. */
export const AGENT_LABEL = { name: "app.kubernetes.io/name", value: "network-dra" } as const;

/** Reads a Node (core/v1). */
export function parseNode({ metadata, status }: Raw): NodeObject {
  const ready = conditionOf(status?.conditions, "Ready");
  const { kubeletVersion, containerRuntimeVersion } = status?.nodeInfo ?? {};
  const isReady = ready?.status === "True";
  return {
    name: metadata.name,
    ready: isReady,
    ...(!isReady && { problem: ready?.message || "the kubelet has not reported yet" }),
    ...(kubeletVersion && { kubelet: kubeletVersion }),
    ...(containerRuntimeVersion && { runtime: containerRuntimeVersion }),
  };
}

/** Reads a Pod (core/v1) of the agent; undefined for a pod that is not the agent's. */
export function parseAgentPod({ metadata, spec, status }: Raw): AgentPod | undefined {
  const owned = metadata.ownerReferences?.some(({ kind }: Raw) => kind === "DaemonSet");
  if (metadata.labels?.[AGENT_LABEL.name] !== AGENT_LABEL.value || !owned) return undefined;
  const container = spec?.containers?.find(({ name }: Raw) => name === "agent") ??
    spec?.containers?.[0];
  const state = status?.containerStatuses?.find(({ name }: Raw) => name === container?.name);
  const ready = conditionOf(status?.conditions, "Ready")?.status === "True";
  const version = tagOf(container?.image) ?? metadata.labels["app.kubernetes.io/version"];
  const driver = flagValue(container?.args, "--driver-name");
  const problem = ready ? undefined : agentProblem(status, state);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    ...(spec?.nodeName && { node: spec.nodeName }),
    ...(version && { version }),
    ...(container?.image && { image: container.image }),
    ready,
    restarts: state?.restartCount ?? 0,
    created: metadata.creationTimestamp ?? "",
    terminating: metadata.deletionTimestamp !== undefined,
    ...(driver && { driver }),
    ...(spec?.serviceAccountName && { serviceAccount: spec.serviceAccountName }),
    ...(problem && { problem }),
  };
}

function agentProblem(status: Raw, state: Raw): string | undefined {
  const { waiting, terminated } = state?.state ?? {};
  const ended = waiting?.reason === "CrashLoopBackOff" ? state?.lastState?.terminated : undefined;
  const said = [waiting, ended, terminated].filter((each) => each)
    .map(({ reason, message, exitCode }) => {
      const code = exitCode === undefined ? "" : ` (exit code ${exitCode})`;
      return [`${reason ?? "ended"}${code}`, message].filter((part) => part).join(": ");
    });
  if (said.length > 0) return said.join("; ");
  const unscheduled = conditionOf(status?.conditions, "PodScheduled");
  if (unscheduled?.status === "False") return unscheduled.message;
  return conditionOf(status?.conditions, "Ready")?.message || undefined;
}

/** The tag of an image's name, if it has one. */
function tagOf(image: string | undefined): string | undefined {
  return image?.replace(/@.*$/, "").match(/:([^:/]+)$/)?.[1];
}

/** The value of `--name=value` or of `--name value` in arguments. */
function flagValue(args: readonly string[] | undefined, name: string): string | undefined {
  if (!args) return undefined;
  for (const [i, arg] of args.entries()) {
    if (arg === name) return args[i + 1];
    if (arg.startsWith(`${name}=`)) return arg.slice(name.length + 1);
  }
  return undefined;
}

/** Reads a Pod (core/v1); undefined for a pod that uses no claims. */
export function parsePod({ metadata, spec, status }: Raw): PodObject | undefined {
  const named: Raw[] = spec?.resourceClaims ?? [];
  const extended = status?.extendedResourceClaimStatus?.resourceClaimName;
  if (named.length === 0 && !extended) return undefined;
  const made = new Map<string, string>(
    (status?.resourceClaimStatuses ?? []).map((each: Raw) => [each.name, each.resourceClaimName]),
  );
  const scheduled = conditionOf(status?.conditions, "PodScheduled");
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    ...(spec.nodeName && { node: spec.nodeName }),
    phase: status?.phase ?? "Pending",
    ready: conditionOf(status?.conditions, "Ready")?.status === "True",
    hostNetwork: spec.hostNetwork === true,
    terminating: metadata.deletionTimestamp !== undefined,
    created: metadata.creationTimestamp ?? "",
    claims: [
      ...named.map((each) => {
        const claim = each.resourceClaimName ?? made.get(each.name);
        const template = each.resourceClaimTemplateName;
        return { name: each.name, ...(claim && { claim }), ...(template && { template }) };
      }),
      ...(extended ? [{ name: "extended resources", claim: extended }] : []),
    ],
    ...(scheduled?.status === "False" && {
      unscheduled: scheduled.message || scheduled.reason,
    }),
    waiting: [...status?.initContainerStatuses ?? [], ...status?.containerStatuses ?? []]
      .flatMap(waitingContainer),
  };
}

function waitingContainer({ name, state }: Raw): WaitingContainer[] {
  const waiting = state?.waiting;
  if (!waiting) return [];
  const { reason = "Waiting", message } = waiting;
  return [{ name, reason, ...(message && { message }) }];
}

/** Reads a ResourceSlice (resource.k8s.io/v1). */
export function parseSlice({ metadata, spec }: Raw): SliceObject {
  return {
    name: metadata.name,
    driver: spec.driver,
    ...(spec.nodeName && { node: spec.nodeName }),
    pool: spec.pool.name,
    generation: spec.pool.generation,
    slicesInPool: spec.pool.resourceSliceCount,
    devices: (spec.devices ?? []).map(sliceDevice),
  };
}

function sliceDevice(device: Raw): SliceDeviceObject {
  const attributes: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries<Raw>(device.attributes ?? {})) {
    attributes[name] = value.string ?? value.int ?? value.bool ?? value.version ?? "";
  }
  const capacity = device.allowMultipleAllocations ? device.capacity?.attachments?.value : "1";
  return {
    name: device.name,
    attributes,
    taints: (device.taints ?? []).map(({ key, effect }: Raw) => ({ key, effect })),
    attachments: quantity(capacity ?? "1"),
  };
}

const SUFFIXES: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9 };

/** A whole quantity, as slices of this driver have them: `256`, `1k`. */
function quantity(text: string): number {
  const [, digits, suffix = ""] = String(text).match(/^(\d+)([kMG]?)$/) ?? [];
  return digits === undefined ? 1 : Number(digits) * (SUFFIXES[suffix] ?? 1);
}

/** Reads a DeviceClass (resource.k8s.io/v1). */
export function parseClass({ metadata, spec }: Raw): ClassObject {
  return {
    name: metadata.name,
    configs: configs(spec?.config, "class"),
    selectors: selectors(spec?.selectors),
  };
}

/** Reads a ResourceClaim (resource.k8s.io/v1). */
export function parseClaim({ metadata, spec, status }: Raw): ClaimObject {
  const owner = metadata.ownerReferences?.find(({ kind, controller }: Raw) =>
    kind === "Pod" && controller === true
  );
  const allocation = status?.allocation;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    created: metadata.creationTimestamp ?? "",
    deleting: metadata.deletionTimestamp !== undefined,
    ...(owner && { ownerPod: owner.name }),
    spec: claimSpec(spec),
    ...(allocation && {
      allocation: {
        devices: (allocation.devices?.results ?? []).map(allocatedDevice),
        configs: configs(allocation.devices?.config),
      },
    }),
    reservedFor: (status?.reservedFor ?? []).map(({ resource, name, uid }: Raw) => ({
      resource,
      name,
      uid,
    })),
    devices: (status?.devices ?? []).map(deviceStatus),
  };
}

/** Reads a ResourceClaimTemplate (resource.k8s.io/v1). */
export function parseTemplate({ metadata, spec }: Raw): TemplateObject {
  return { namespace: metadata.namespace, name: metadata.name, spec: claimSpec(spec?.spec) };
}

function claimSpec(spec: Raw): ClaimSpecObject {
  return {
    requests: (spec?.devices?.requests ?? []).flatMap(requests),
    configs: configs(spec?.devices?.config, "claim"),
  };
}

function requests({ name, exactly, firstAvailable }: Raw): RequestObject[] {
  const one = (request: Raw, called: string): RequestObject => ({
    name: called,
    className: request.deviceClassName,
    selectors: selectors(request.selectors),
  });
  if (exactly) return [one(exactly, name)];
  return (firstAvailable ?? []).map((each: Raw) => one(each, `${name}/${each.name}`));
}

function selectors(list: Raw): string[] {
  return (list ?? []).flatMap(({ cel }: Raw) => cel?.expression ?? []);
}

function allocatedDevice({ request, driver, pool, device, shareID }: Raw): AllocatedObject {
  return { request, driver, pool, device, ...(shareID && { shareID }) };
}

/** @param from of a spec, whose entries do not say it themselves */
function configs(list: Raw, from?: "class" | "claim"): readonly ConfigObject[] {
  if (!list || list.length === 0) return NO_CONFIGS;
  // Most claims of a cluster have the same few networks: kept once, they are no work for the collector.
  const key = `${from} ${JSON.stringify(list)}`;
  const known = parsedConfigs.get(key);
  if (known) return known;
  const parsed = parseConfigs(list, from);
  if (parsedConfigs.size >= MOST_CONFIGS) parsedConfigs.clear();
  parsedConfigs.set(key, parsed);
  return parsed;
}

const NO_CONFIGS: readonly ConfigObject[] = [];
const MOST_CONFIGS = 1000;
const parsedConfigs = new Map<string, readonly ConfigObject[]>();

function parseConfigs(list: Raw, from: "class" | "claim" | undefined): ConfigObject[] {
  return list.flatMap(({ source, requests, opaque }: Raw) => {
    if (!opaque) return [];
    const network = configuredNetwork(opaque.parameters);
    return [{
      driver: opaque.driver,
      requests: requests ?? [],
      from: from ?? (source === "FromClass" ? "class" : "claim"),
      ...(network && { network }),
    }];
  });
}

/**
 * The network that opaque parameters name. They are checked by the agent, and only there: what cannot
 * be read is left out here.
 */
export function configuredNetwork(parameters: Raw): ConfiguredNetwork | undefined {
  const { networkName, networkAttachmentDefinition: definition, config } = parameters ?? {};
  const interfaceName = parameters?.interfaceName ?? parameters?.ifName ?? parameters?.interface;
  const named = typeof interfaceName === "string" && interfaceName !== "" ? { interfaceName } : {};
  if (typeof networkName === "string") {
    return { name: networkName, source: "node", plugins: [], ...named };
  }
  if (typeof definition === "string") {
    return { name: definition, source: "node", plugins: [], ...named };
  }
  if (typeof config?.name !== "string") return undefined;
  const plugins: Raw[] = Array.isArray(config.plugins) ? config.plugins : [config];
  const typesOf = (all: Raw[]): string[] =>
    all.map((each) => each?.type).filter((type) => typeof type === "string" && type !== "");
  const ipam = typesOf(plugins.map((plugin) => plugin?.ipam));
  const parent = plugins[0]?.master ?? plugins[0]?.device;
  const mtu = plugins[0]?.mtu;
  return {
    name: config.name,
    source: "parameters",
    plugins: typesOf(plugins),
    ...(ipam.length > 0 && { ipam }),
    ...named,
    ...(typeof parent === "string" && parent !== "" && { parent }),
    ...(typeof mtu === "number" && mtu > 0 && { mtu }),
  };
}

function deviceStatus(entry: Raw): DeviceStatusObject {
  const { driver, pool, device, shareID, networkData } = entry;
  const ready = conditionOf(entry.conditions, "Ready");
  return {
    driver,
    pool,
    device,
    ...(shareID && { shareID }),
    ...(ready && { ready }),
    ...(networkData?.interfaceName && { interfaceName: networkData.interfaceName }),
    ...(networkData?.hardwareAddress && { hardwareAddress: networkData.hardwareAddress }),
    ips: networkData?.ips ?? [],
  };
}

function conditionOf(conditions: Raw, wanted: string): ConditionObject | undefined {
  const found = conditions?.find(({ type }: Raw) => type === wanted);
  if (!found) return undefined;
  const { status, reason = "", message = "", lastTransitionTime: since = "" } = found;
  return { status, reason, message, since };
}

/** Reads an Event (core/v1); undefined for one that is not a warning about a pod or a claim. */
export function parseEvent(event: Raw): EventObject | undefined {
  const { metadata, involvedObject, type, series } = event;
  if (type !== "Warning" || !["Pod", "ResourceClaim"].includes(involvedObject?.kind)) {
    return undefined;
  }
  const { kind, name, uid = "" } = involvedObject;
  return {
    namespace: metadata.namespace,
    about: { kind, name, uid },
    reason: event.reason ?? "",
    message: event.message ?? "",
    count: series?.count ?? event.count ?? 1,
    last: series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ??
      metadata.creationTimestamp ?? "",
    component: event.reportingComponent || event.source?.component || "",
  };
}
