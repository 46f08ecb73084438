/** What must be so when nothing goes wrong any more. */
import { DRIVER } from "./api_server.ts";
import type { Link } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import { has, isHopeless, mayStay, type PlannedClaim, type PlannedNetwork } from "./plan.ts";
import { type Claim, linkOf, networksOf, type Pod, type Sandbox } from "./pods.ts";
import type { Invariant } from "./trace.ts";
import { OTHERS_ENTRY, type World } from "./world.ts";

/** Quiet: nothing fails any longer. Empty: all pods have ended, too. */
export type Phase = "quiet" | "empty";

interface Place {
  readonly node: SimulatedNode;
  readonly phase: Phase;
}

export interface Problem {
  readonly invariant: Invariant;
  readonly what: string;
}

/** All that is not as it must be now. */
export function problemsOf(world: World, phase: Phase): Problem[] {
  return [
    ...world.nodes.flatMap((node) => [
      ...attachments(world, node),
      ...leftovers(world, { node, phase }),
      ...records(world, { node, phase }),
      ...cdiFiles(world, { node, phase }),
      ...[...world.api.addresses.problems(node)].map((what) =>
        ({ invariant: "addresses", what }) as const
      ),
    ]),
    ...statuses(world),
  ];
}

/** What keeps a network from being attached that is nobody's fault: its name is taken, or its interface. */
function isBlocked(sandbox: Sandbox, { network, kind, claim }: PlannedNetwork & { claim: Claim }) {
  if (sandbox.pod.unprepared || sandbox.pod.plan.unpreparesShared) return true;
  const taken = [...sandbox.namespace.links.values()].some(({ owner }) =>
    owner === "another plugin"
  );
  if (taken || mayCollide(sandbox.pod)) return true;
  if (isHopeless(claim.plan)) return true;
  return kind === "exclusive" && claim.users.size > 1 && !linkOf(sandbox, network);
}

/** Shared claims that were named each for itself come together. */
function mayCollide({ claims }: Pod): boolean {
  const unnamed = claims.filter(({ plan }) =>
    !plan.isTemplate && plan.networks.some(({ ifName }) => ifName === undefined)
  );
  return unnamed.length > 1;
}

function attachments(world: World, node: SimulatedNode): Problem[] {
  const problems: Problem[] = [];
  for (const pod of world.pods.values()) {
    if (world.nodes[pod.plan.node] !== node || pod.gone || pod.deleting) continue;
    const waits = pod.claims.some((claim) => !claim.users.has(pod));
    if (waits) continue;
    const { sandbox } = pod;
    if (!sandbox || sandbox.state !== "running") {
      if (isCollided(pod) || waitsForHopeless(world, pod)) continue;
      problems.push({ invariant: "progress", what: `${pod.name} has no sandbox` });
      continue;
    }
    const networks = networksOf(pod);
    if (networks.some((network) => isBlocked(sandbox, network))) continue;
    const isFull = networks.some(({ kind }) => kind === "addressed") &&
      world.api.addresses.isFull(world.plan.addresses);
    if (isFull) continue;
    // A kubelet that cannot unprepare a claim for one pod may keep others from it.
    if (pod.claims.some(({ plan }) => mayStay(plan))) continue;
    // What an agent attached whose state was lost is another's for the next, until containers run.
    if (pod.claims.some(({ ref }) => node.unknown.has(ref.uid) || node.untold.has(ref.uid))) {
      continue;
    }
    for (const { network, kind } of networks) {
      // Of an old version nothing tells that it was lost.
      const isRepaired = world.plan.repair && kind !== "old";
      const isLost = node.isExcusedLost(sandbox, network) && !isRepaired;
      if (linkOf(sandbox, network) || isLost) continue;
      problems.push({ invariant: "progress", what: `${network} of ${sandbox.id} is not attached` });
    }
    if (
      sandbox.containers.filter(({ state }) => state === "running").length < pod.plan.containers
    ) {
      problems.push({ invariant: "progress", what: `containers of ${sandbox.id} do not start` });
    }
    for (const [name, link] of sandbox.vouched) {
      if (sandbox.namespace.links.get(name) === link) continue;
      problems.push({ invariant: "living", what: `${link.owner} is not what it was` });
    }
  }
  return problems;
}

/** Whether its claims cannot be attached, or an interface that they need cannot be detached. */
function waitsForHopeless({ plan }: World, { claims }: Pod): boolean {
  const isExclusive = ({ networks }: PlannedClaim) =>
    networks.some(({ kind }) => kind === "exclusive");
  return claims.some((claim) => mayStay(claim.plan)) ||
    claims.some((claim) => isExclusive(claim.plan)) &&
      plan.claims.some((claim) => mayStay(claim) && isExclusive(claim));
}

/** Whether two of the pod's claims have one interface name: the second cannot be prepared. */
function isCollided(pod: Pod): boolean {
  const names = networksOf(pod).flatMap(({ ifName }) => ifName ?? []);
  return new Set(names).size < names.length || pod.unprepared;
}

function leftovers(world: World, { node, phase }: Place): Problem[] {
  const problems: Problem[] = [];
  const living = new Map(node.runtime.running.map((sandbox) => [sandbox.id, sandbox]));
  for (const lease of node.network.leases.keys()) {
    const [network = "", id = ""] = lease.split("/");
    const sandbox = living.get(id);
    if (sandbox && networksOf(sandbox.pod).some((each) => each.network === network)) continue;
    if (node.orphaned.has(lease)) continue;
    problems.push({ invariant: "leftovers", what: `the lease of ${lease}` });
  }
  for (const { path, links, mounted } of node.network.namespaces) {
    if (!mounted) {
      if (isHeldForLater(world, { path, phase })) continue;
      problems.push({ invariant: "leftovers", what: `the namespace ${path} is held` });
      continue;
    }
    for (const { owner } of links.values()) {
      const [network = "", id = ""] = owner.split("/");
      if (id === "") continue;
      const sandbox = living.get(id);
      if (sandbox && networksOf(sandbox.pod).some((each) => each.network === network)) continue;
      problems.push({ invariant: "leftovers", what: `the interface of ${owner}` });
    }
  }
  return problems;
}

/** What the kubelet has forgotten, or cannot be detached, goes after a longer time. */
function goesLater({ claims, forgotten }: World, uid: string, phase: Phase): boolean {
  const claim = [...claims.values()].find(({ ref }) => ref.uid === uid);
  return phase === "quiet" && (forgotten.has(uid) || claim !== undefined && mayStay(claim.plan));
}

/** Of a sandbox with a network that cannot be detached. */
function isHeldForLater(
  { pods }: World,
  { path, phase }: { readonly path: string; readonly phase: Phase },
): boolean {
  return phase === "quiet" &&
    [...pods.values()].some(({ name, claims }) =>
      path.startsWith(`/run/netns/${name}s`) && claims.some(({ plan }) => mayStay(plan))
    );
}

function records(world: World, { node, phase }: Place): Problem[] {
  const problems: Problem[] = [];
  const names = (folder: string) =>
    node.state.kind(folder)
      ? node.state.names(folder).map(({ name }) => name).filter((name) =>
        // What cannot be read is set aside, where the disk takes that; a claim that was unprepared is
        // remembered for some minutes.
        !/\.(corrupt|departed)$/.test(name) && !node.isDamaged(`${folder}/${name}`)
      )
      : [];
  const used = new Set(
    node.runtime.running.flatMap(({ pod }) => pod.claims.map(({ ref }) => ref.uid)),
  );
  for (const name of names("/claims")) {
    const uid = name.replace(/\.json$/, "");
    if (used.has(uid) || node.kubelet.isPrepared(uid) || goesLater(world, uid, phase)) continue;
    problems.push({ invariant: "leftovers", what: `the record of the claim ${name}` });
  }
  const expected = new Map<string, number>();
  for (const { pod } of node.runtime.running) {
    for (const { claim } of networksOf(pod)) {
      expected.set(claim.ref.uid, (expected.get(claim.ref.uid) ?? 0) + 1);
    }
  }
  const found = new Map<string, number>();
  for (const name of names("/attachments")) {
    const uid = name.split(".")[0]!;
    found.set(uid, (found.get(uid) ?? 0) + 1);
  }
  for (const [uid, count] of found) {
    const most = expected.get(uid) ?? 0;
    if (count <= most || goesLater(world, uid, phase)) continue;
    const what = `${count} records of attachments of ${uid} where ${most} live`;
    problems.push({ invariant: "leftovers", what });
  }
  return problems;
}

function cdiFiles(world: World, { node, phase }: Place): Problem[] {
  const problems: Problem[] = [];
  const used = new Map<string, Sandbox[]>();
  for (const sandbox of node.runtime.running) {
    for (const { ref } of sandbox.pod.claims) {
      used.set(ref.uid, [...used.get(ref.uid) ?? [], sandbox]);
    }
  }
  for (const { name } of node.run.kind("/") ? node.run.names("/") : []) {
    const uid = name.match(/_(.*?)\.(json|attached|metadata)/)?.[1] ?? "";
    if (!name.startsWith(DRIVER) || used.has(uid)) continue;
    // The sandbox of a prepared claim may be one that the runtime is making.
    const mayCome = node.kubelet.isPrepared(uid) || goesLater(world, uid, phase);
    if (name.endsWith(".json") && mayCome) continue;
    problems.push({ invariant: "leftovers", what: `the CDI file ${name}` });
  }
  for (const [uid, sandboxes] of used) {
    const isReady = (sandbox: Sandbox) =>
      networksOf(sandbox.pod).filter(({ claim }) => claim.ref.uid === uid)
        .every(({ network }) => linkOf(sandbox, network) || node.isExcusedLost(sandbox, network));
    if (!node.cdiFile(uid, ".attached") || sandboxes.some(isReady)) continue;
    const what = `containers that name ${uid} may start, but none of its pods is attached`;
    problems.push({ invariant: "gate", what });
  }
  return problems;
}

function statuses(world: World): Problem[] {
  const problems: Problem[] = [];
  for (const claim of world.claims.values()) {
    const object = world.api.claims.get(`default/${claim.plan.name}`);
    if (!object?.status.allocation) continue;
    // The last write may have died with the agent: of what is unprepared nobody writes any more.
    const isUnprepared = (pod: Pod) => pod.deleting && waitsForHopeless(world, pod);
    if (claim.users.size > 0 && [...claim.users].every(isUnprepared)) continue;
    const entries = object.status.devices ?? [];
    const foreign = entries.find(({ driver }) => driver === OTHERS_ENTRY.driver);
    if (claim.plan.withOther !== (foreign !== undefined)) {
      problems.push({ invariant: "others", what: `${claim.plan.name}: the other driver's entry` });
    }
    const node = world.nodes.find(({ name }) => name === claim.node)!;
    const sandboxes = [...claim.users].flatMap(({ sandbox }) =>
      sandbox?.state === "running" && !sandbox.ending ? [sandbox] : []
    );
    const results = object.status.allocation.devices.results;
    for (const planned of claim.plan.networks) {
      const { network, request } = planned;
      const result = results.find((each) => each.request === request)!;
      const entry = entries.find((each) =>
        each.driver === DRIVER && each.device === result.device && each.shareID === result.shareID
      );
      const links = node.linksOf(network, sandboxes);
      // Of an old version nothing tells that it was lost.
      const isUnclear = node.damaged.has(claim.ref.uid) ||
        mayStay(claim.plan) && has(claim.plan, "exclusive") ||
        sandboxes.some((sandbox) =>
          isBlocked(sandbox, { ...planned, claim }) ||
          planned.kind === "old" && node.isExcusedLost(sandbox, network)
        );
      if (isUnclear) continue;
      const said = entry?.conditions?.[0]?.status === "True"
        ? [entry.networkData?.hardwareAddress, ...entry.networkData?.ips ?? []].join(" ")
        : entry
        ? `not ready: ${entry.conditions?.[0]?.message}`
        : undefined;
      const isTrue = sandboxes.length === 0
        ? said === undefined
        : links.includes(undefined)
        ? said === undefined || said.startsWith("not ready")
        : links.some((link) => shownLink(node, link) === said);
      if (isTrue) continue;
      const truth = links.map((link) => shownLink(node, link)).join(", ");
      const what = `${claim.plan.name}: ${request}: it says ${said}; the truth is ${
        truth || "none"
      }`;
      problems.push({ invariant: "status", what });
    }
  }
  return problems;
}

/** As the status says it. */
function shownLink(node: SimulatedNode, link: Link | undefined): string {
  if (!link) return "none";
  const lease = node.network.leases.get(link.owner);
  return lease ? `${link.mac} ${lease.canonical.join(" ")}` : link.mac;
}
