import { describeTime } from "../async/describe_time.ts";
import type {
  ClaimPhase,
  ClaimView,
  DeviceView,
  NetworkView,
  PodView,
} from "../cluster/picture.ts";
import { CLAIM_PHASES } from "../cluster/picture.ts";
import { type Column, table } from "./status_tables.ts";

/** One line of the table of pods: one attachment of a pod, or a claim that has none yet. */
interface PodRow {
  readonly pod: PodView;
  readonly podClaim: string;
  readonly claim?: string;
  readonly network?: string;
  readonly interfaceName?: string;
  readonly ips: readonly string[];
  readonly mac?: string;
  readonly device?: string;
  readonly phase: ClaimPhase | "no claim";
  readonly since?: string;
  readonly message?: string;
}

/** The lines of `pods`. */
export function podLines(
  pods: readonly PodView[],
  { wide, namespaced, now }: {
    readonly wide: boolean;
    /** Whether all are of one namespace, which is then not shown. */
    readonly namespaced: boolean;
    readonly now: number;
  },
): string[] {
  const columns: Column<PodRow>[] = [
    ...namespaced ? [] : [["NAMESPACE", ({ pod }: PodRow) => pod.namespace] as const],
    ["POD", ({ pod }) => pod.name],
    ["NODE", ({ pod }) => pod.node ?? "-"],
    ["NETWORK", ({ network }) => network ?? "-"],
    ["INTERFACE", ({ interfaceName }) => interfaceName ?? "-"],
    ["ADDRESSES", ({ ips }) => ips.join(",") || "-"],
    ["STATE", ({ phase }) => phase],
    ["SINCE", ({ since }) => age(since, now)],
    ...wide
      ? [
        ["CLAIM", ({ claim, podClaim }: PodRow) => claim ?? `(${podClaim})`] as const,
        ["DEVICE", ({ device }: PodRow) => device] as const,
        ["MAC", ({ mac }: PodRow) => mac] as const,
        ["CAUSE", ({ message }: PodRow) => message] as const,
      ]
      : [],
  ];
  return table(pods.flatMap(podRows), columns);
}

function podRows(pod: PodView): PodRow[] {
  return pod.claims.flatMap(({ name: podClaim, claim, view }): PodRow[] => {
    if (!view) return [{ pod, podClaim, ips: [], phase: "no claim" }];
    const common = { pod, podClaim, ...(claim !== undefined && { claim }) };
    if (view.attachments.length > 0) {
      return view.attachments.map(({ network, interfaceName, ips, hardwareAddress, ...more }) => ({
        ...common,
        network: network?.name,
        interfaceName,
        ips,
        mac: hardwareAddress,
        device: more.device,
        ...shownState(more.state),
      }));
    }
    const network = view.networks.map(({ name }) => name).join(",");
    return [{ ...common, network: network || undefined, ips: [], ...shownState(view.state) }];
  });
}

function shownState({ phase, since, message }: ClaimView["state"]) {
  return { phase, since, ...(phase !== "attached" && { message }) };
}

/** The lines of `networks`. */
export function networkLines(networks: readonly NetworkView[], wide: boolean): string[] {
  return table(networks, [
    ["NETWORK", ({ name }) => name],
    [
      "DEFINED IN",
      ({ source, classes }) =>
        source === "node" ? "nodes" : classes.length > 0 ? "class" : "claims",
    ],
    ["PLUGINS", ({ plugins }) => plugins.map((types) => types.join(",")).join(" | ") || "-"],
    ["NODES", ({ nodes }) => `${nodes.length}`],
    ["ATTACHMENTS", ({ phases }) => `${total(phases)}`],
    ["STATE", ({ phases }) => phasesText(phases)],
    ...wide
      ? [
        ["CLASSES", ({ classes }: NetworkView) => classes.join(",")] as const,
        ["ON", ({ nodes }: NetworkView) => nodes.join(",")] as const,
      ]
      : [],
  ]);
}

function total(phases: NetworkView["phases"]): number {
  return Object.values(phases).reduce((sum, count) => sum + count, 0);
}

/** `1 failed, 12 attached` */
export function phasesText(phases: NetworkView["phases"]): string {
  return CLAIM_PHASES.filter((phase) => phases[phase])
    .map((phase) => `${phases[phase]} ${phase}`).join(", ");
}

/** The lines of `devices`. */
export function deviceLines(devices: readonly DeviceView[], wide: boolean): string[] {
  const attribute = (name: string) => ({ attributes }: DeviceView) => {
    const value = attributes[name];
    return value === undefined ? "" : `${value}`;
  };
  return table(devices, [
    ["NODE", ({ node, pool }) => node ?? pool],
    ["DEVICE", ({ name }) => name],
    ["TYPE", attribute("type")],
    ["STATE", attribute("state")],
    ["MTU", attribute("mtu")],
    ["USED", ({ claims, capacity }) => `${claims.length}/${capacity}`],
    ["TAINTS", ({ taints }) => taints.map(({ key }) => key).join(",")],
    ...wide
      ? [
        ["INTERFACE", attribute("interface")] as const,
        ["MAC", attribute("mac")] as const,
        ["SPEED", attribute("speed")] as const,
        ["PLUGINS", pluginsOf] as const,
        ["CLAIMS", ({ claims }: DeviceView) =>
          claims.map(({ namespace, name }) =>
            `${namespace}/${name}`
          ).join(",")] as const,
      ]
      : [],
  ]);
}

/** The CNI plugins that its node can run, which are attributes `plugin_…`. */
function pluginsOf({ attributes }: DeviceView): string {
  return Object.entries(attributes)
    .flatMap(([name, value]) => name.startsWith("plugin_") && value === true ? name.slice(7) : [])
    .join(",");
}

/** How long ago a time is (RFC 3339). */
export function age(since: string | undefined, now: number): string {
  const time = Date.parse(since ?? "");
  return Number.isNaN(time) ? "" : describeTime(now - time);
}
