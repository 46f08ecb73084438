import { attachmentState, claimState, type ClaimUse } from "./claim_state.ts";
import type { OwnClaims } from "./drivers.ts";
import type { EventsByObject } from "./events_by_object.ts";
import type {
  AllocatedObject,
  ClaimObject,
  ConfigObject,
  ConfiguredNetwork,
  ObjectRef,
  PodObject,
} from "./objects.ts";
import type { AttachmentView, ClaimView } from "./picture.ts";

/** What claims are seen with. */
export interface ClaimContext {
  readonly drivers: readonly string[];
  readonly own: OwnClaims;
  readonly pods: readonly PodObject[];
  readonly events: EventsByObject;
  /** By driver and pool, with a space between them. */
  readonly nodeOfPool: ReadonlyMap<string, string | undefined>;
}

/** The claims of this driver. */
export function claimViews(claims: readonly ClaimObject[], context: ClaimContext): ClaimView[] {
  const users = podsByClaim(context.pods);
  return claims.filter((claim) => isOwn(claim, context))
    .map((claim) => claimView(claim, users.get(`${claim.namespace}/${claim.name}`) ?? [], context));
}

function isOwn({ allocation, spec }: ClaimObject, { drivers, own }: ClaimContext): boolean {
  if (!allocation) return own.has(spec);
  return allocation.devices.some(({ driver }) => drivers.includes(driver));
}

/** The pods that name each claim, by the claim's namespace and name. */
function podsByClaim(pods: readonly PodObject[]): Map<string, PodObject[]> {
  const found = new Map<string, PodObject[]>();
  for (const pod of pods) {
    for (const { claim } of pod.claims) {
      if (claim === undefined) continue;
      const key = `${pod.namespace}/${claim}`;
      const list = found.get(key);
      if (list) list.push(pod);
      else found.set(key, [pod]);
    }
  }
  return found;
}

function claimView(
  claim: ClaimObject,
  users: readonly PodObject[],
  context: ClaimContext,
): ClaimView {
  const { namespace, name, uid, created, ownerPod, allocation, spec } = claim;
  const events = context.events.get(uid) ?? [];
  const use: ClaimUse = { claim, users, events, podEvents: context.events };
  const attachments = (allocation?.devices ?? [])
    .filter(({ driver }) => context.drivers.includes(driver))
    .map((device) => attachmentView(device, use, context));
  const nodes = new Set(attachments.flatMap(({ node }) => node ?? []));
  return {
    namespace,
    name,
    uid,
    created,
    ...(ownerPod !== undefined && { ownerPod }),
    requests: spec.requests,
    networks: attachments.length > 0
      ? unique(attachments.flatMap(({ network }) => network ?? []))
      : wantedNetworks(claim, context),
    ...(nodes.size === 1 && { node: [...nodes][0]! }),
    pods: podsOf(claim, users),
    state: claimState(use, attachments),
    attachments,
    events,
  };
}

/** What it asks for by its own parameters, or else by those of its requests' classes. */
function wantedNetworks({ spec }: ClaimObject, { drivers, own }: ClaimContext) {
  const configs = [
    ...spec.configs,
    ...spec.requests.flatMap(({ name, className }) =>
      (own.classNamed(className)?.configs ?? [])
        .map((config): ConfigObject => ({ ...config, requests: [name] }))
    ),
  ].filter(({ driver }) => drivers.includes(driver));
  return unique(spec.requests.flatMap(({ name }) => networkFor(name, configs) ?? []));
}

function unique(networks: readonly ConfiguredNetwork[]): ConfiguredNetwork[] {
  return [
    ...new Map(networks.map((each) => [`${each.source} ${each.name}`, each])).values(),
  ];
}

/** A claim's parameters replace the class's as a whole. */
function networkFor(
  request: string,
  configs: readonly ConfigObject[],
): ConfiguredNetwork | undefined {
  const [base] = request.split("/");
  const applying = configs.filter(({ requests }) =>
    requests.length === 0 || requests.includes(request) || requests.includes(base!)
  );
  const config = applying.find(({ from }) => from === "claim") ?? applying[0];
  return config?.network;
}

function attachmentView(
  allocated: AllocatedObject,
  use: ClaimUse,
  { nodeOfPool }: ClaimContext,
): AttachmentView {
  const { driver, pool, device, shareID } = allocated;
  const { claim, users } = use;
  const configs = claim.allocation!.configs.filter((config) => config.driver === driver);
  const network = networkFor(allocated.request, configs);
  const written = claim.devices.find((each) =>
    each.driver === driver && each.pool === pool && each.device === device &&
    each.shareID === shareID
  );
  const interfaceName = written?.interfaceName ?? network?.interfaceName;
  // A pool of this driver is named for its node.
  const node = nodeOfPool.get(`${driver} ${pool}`) ?? users.find((pod) => pod.node)?.node ?? pool;
  return {
    ...allocated,
    node,
    ...(network && { network }),
    ...(interfaceName !== undefined && { interfaceName }),
    ...(written?.hardwareAddress !== undefined && { hardwareAddress: written.hardwareAddress }),
    ips: written?.ips ?? [],
    ...(written?.ready && { condition: written.ready }),
    state: attachmentState(use, written?.ready),
  };
}

/** Those for which it is reserved, and those that name it. */
function podsOf(claim: ClaimObject, users: readonly PodObject[]): ObjectRef[] {
  const { namespace } = claim;
  const found = new Map<string, ObjectRef>();
  for (const { resource, name, uid } of claim.reservedFor) {
    if (resource === "pods") found.set(uid, { namespace, name, uid });
  }
  for (const { name, uid } of users) found.set(uid, { namespace, name, uid });
  return [...found.values()];
}
