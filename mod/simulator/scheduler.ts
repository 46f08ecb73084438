import type { Fields, Manifest } from "./manifest.ts";

export interface SchedulerOptions {
  readonly node: string;
  /** The driver whose devices the node has. */
  readonly driver: string;
  /** The name of its shareable device. */
  readonly device: string;
  readonly classes: ReadonlyMap<string, Manifest>;
  readonly note: (line: string) => void;
}

/** What the scheduler writes into a claim's status. */
export interface Allocation {
  readonly devices: { readonly results: Fields[]; readonly config: Fields[] };
  readonly nodeSelector: Fields;
}

/** As many devices can be allocated for one claim. */
const MOST_DEVICES = 32;

/**
 * Allocates a claim on the one node: every request gets the node's one device, which many share, so
 * each result has a shareID of its own. Selectors are not evaluated, and that is noted.
 *
 * @throws Error that names the claim, the request and what is missing
 */
export function allocate(claim: Manifest, options: SchedulerOptions): Allocation {
  const { devices = {} } = (claim.spec ?? {}) as { devices?: Fields };
  const { requests = [], config = [] } = devices as { requests?: Fields[]; config?: Fields[] };
  const results: Fields[] = [];
  const configs: Fields[] = [];
  for (const [i, request] of (requests ?? []).entries()) {
    const at = `claim ${claim.metadata.name}: spec.devices.requests[${i}]`;
    const chosen = choose(request, at, options);
    if (results.length + chosen.count > MOST_DEVICES) {
      const asked = results.length + chosen.count;
      throw new Error(`${at}: ${asked} devices are too many: a claim has ${MOST_DEVICES} at most`);
    }
    for (let n = 0; n < chosen.count; n++) {
      results.push({
        request: chosen.name,
        driver: options.driver,
        pool: options.node,
        device: options.device,
        shareID: crypto.randomUUID(),
      });
    }
    const { config: ofClass = [] } = (chosen.deviceClass.spec ?? {}) as { config?: Fields[] };
    for (const entry of ofClass ?? []) {
      configs.push({ source: "FromClass", requests: [chosen.name], ...entry });
    }
  }
  if (results.length === 0) throw new Error(`claim ${claim.metadata.name}: it requests no devices`);
  for (const entry of config ?? []) configs.push({ source: "FromClaim", ...entry });
  return {
    devices: { results, config: configs },
    nodeSelector: {
      nodeSelectorTerms: [{
        matchFields: [{ key: "metadata.name", operator: "In", values: [options.node] }],
      }],
    },
  };
}

function choose(
  request: Fields,
  at: string,
  { classes, device, note }: SchedulerOptions,
): { readonly name: string; readonly count: number; readonly deviceClass: Manifest } {
  const alternatives = request.firstAvailable as Fields[] | undefined;
  const [wanted, name] = alternatives?.[0]
    ? [alternatives[0], `${request.name}/${alternatives[0].name}`]
    : [request.exactly as Fields | undefined, `${request.name}`];
  if (!wanted) throw new Error(`${at}: it must have "exactly" or "firstAvailable"`);
  const className = wanted.deviceClassName as string | undefined;
  if (!className) throw new Error(`${at}: deviceClassName is missing`);
  const deviceClass = classes.get(className);
  if (!deviceClass) {
    throw new Error(`${at}: there is no DeviceClass ${className}; add it to the files`);
  }
  const { selectors } = (deviceClass.spec ?? {}) as { selectors?: unknown[] };
  if (selectors?.length || (wanted.selectors as unknown[] | undefined)?.length) {
    note(`${at}: gets the device ${device}: a simulated node evaluates no selectors`);
  }
  if (wanted.allocationMode === "All") return { name, count: 1, deviceClass };
  return { name, count: (wanted.count as number | undefined) || 1, deviceClass };
}

/**
 * The driver that the files name: that of the claims' and classes' opaque parameters.
 *
 * @returns undefined when they name none, or several
 */
export function driverOf(manifests: readonly Manifest[]): string | undefined {
  const names = new Set<string>();
  for (const { kind, spec } of manifests) {
    const claimSpec = (kind === "ResourceClaimTemplate" ? (spec as Fields)?.spec : spec) as Fields;
    const configs = kind === "DeviceClass"
      ? claimSpec?.config
      : (claimSpec?.devices as Fields)?.config;
    for (const { opaque } of (configs ?? []) as { opaque?: Fields }[]) {
      if (typeof opaque?.driver === "string") names.add(opaque.driver);
    }
  }
  return names.size === 1 ? [...names][0] : undefined;
}
