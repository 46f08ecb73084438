import { dirname } from "node:path";
import { errorMessage } from "../async/error_message.ts";
import { printable } from "../async/printable.ts";
import { EXPLAINED_KINDS, explainPod } from "../cluster/explain.ts";
import { findingsOf } from "../cluster/findings.ts";
import type { ClusterPicture, PodView } from "../cluster/picture.ts";
import { KubeDumpSource } from "../kube/dump_source.ts";
import { ArchiveFile } from "../sysdump/archive_file.ts";
import { Cleaner } from "../sysdump/cleaner.ts";
import { type Dumped, type DumpText, fillArchive } from "../sysdump/dump.ts";
import { learnFromPicture } from "../sysdump/names.ts";
import type { DumpScope } from "../sysdump/objects.ts";
import type { Archive } from "../sysdump/ports.ts";
import { Redactor } from "../sysdump/redactor.ts";
import { type ClusterAccess, withCluster } from "./cluster_access.ts";
import { statusLines } from "./cluster_status.ts";
import { deviceLines, podLines } from "./cluster_tables.ts";
import { SYSDUMP } from "./commands/sysdump.ts";
import { explainLines, podTitle } from "./explain.ts";
import type { Values } from "./flag.ts";
import { readCommandLine } from "./flag_values.ts";
import { assertFolder } from "./given_file.ts";
import { assertKnownNode } from "./known_node.ts";
import { onSignals } from "./signals.ts";
import { UsageError } from "./usage_error.ts";
import { VERSION } from "./version.ts";

type SysdumpOptions = Values<typeof SYSDUMP.flags>;

const INCOMPLETE = 3;

/** `network-dra sysdump`: one archive for a bug report. Gives the exit code. */
export function sysdump(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(SYSDUMP, argv, (name) => Deno.env.get(name));
  return withCluster(flags, async (cluster) => {
    const interrupted = new AbortController();
    const release = onSignals(() => interrupted.abort(new Error("interrupted")));
    try {
      return await dumpTo(cluster, { flags, interrupted: interrupted.signal });
    } finally {
      release();
    }
  });
}

async function dumpTo(
  cluster: ClusterAccess,
  { flags, interrupted }: {
    readonly flags: SysdumpOptions;
    readonly interrupted: AbortSignal;
  },
): Promise<number> {
  const name = `network-dra-sysdump-${stamp(new Date())}`;
  const path = flags.output ?? `${name}.tar.gz`;
  assertFolder(dirname(path), { at: "--output" });
  const archive = await ArchiveFile.create(path, { folder: name }).catch((error) => {
    throw new UsageError(`--output ${path}: ${errorMessage(error)}`);
  });
  let dumped: Dumped;
  try {
    const over = AbortSignal.any([interrupted, AbortSignal.timeout(flags.timeout)]);
    const picture = await cluster.look({ kinds: EXPLAINED_KINDS, needed: EXPLAINED_KINDS, over });
    interrupted.throwIfAborted();
    assertKnownNode(picture, flags.node);
    dumped = await dump(archive, { cluster, picture, flags, over });
    interrupted.throwIfAborted();
    await archive.finish();
  } catch (error) {
    await archive.abandon();
    throw error;
  }
  console.log(path);
  const { missing } = dumped;
  for (const { what, why } of missing) console.error(printable(`Missing: ${what}: ${why}`));
  console.error(
    flags.redact
      ? "Names and addresses are replaced; have a look at it before you publish it."
      : "It has names and addresses of your cluster: --redact replaces them.",
  );
  return missing.length > 0 ? INCOMPLETE : 0;
}

/** `20261130-151412`, in UTC. */
function stamp(date: Date): string {
  return date.toISOString().replace(/\..*$/, "").replaceAll(/[-:]/g, "").replace("T", "-");
}

function dump(
  archive: Archive,
  { cluster, picture, flags, over }: {
    readonly cluster: ClusterAccess;
    readonly picture: ClusterPicture;
    readonly flags: SysdumpOptions;
    readonly over: AbortSignal;
  },
): Promise<Dumped> {
  const redactor = flags.redact ? new Redactor(picture.drivers) : undefined;
  if (redactor) {
    learnFromPicture(redactor, picture);
    redactor.learn("server", URL.parse(cluster.server)?.hostname);
  }
  return fillArchive(archive, new KubeDumpSource(cluster.connection), {
    picture,
    scope: scopeOf(picture, flags),
    texts: textsOf(cluster.server, picture),
    explained: explainedOf(picture, flags.node),
    sinceSeconds: Math.ceil(flags.since / 1000),
    cleaner: new Cleaner(redactor),
    redactor,
    about: {
      takenAt: picture.takenAt,
      program: VERSION,
      server: cluster.server,
      drivers: picture.drivers,
      redacted: flags.redact,
      sinceSeconds: Math.ceil(flags.since / 1000),
      ...(flags.node !== undefined && { node: flags.node }),
    },
    over,
    say: (line) => console.error(line),
  });
}

function scopeOf(picture: ClusterPicture, { node, redact }: SysdumpOptions): DumpScope {
  const { drivers, pods, claims, classes, templates, nodes } = picture;
  return {
    uids: new Set([...pods, ...claims].map(({ uid }) => uid)),
    agents: new Set(nodes.flatMap(({ agent }) => "pod" in agent ? [agent.pod.uid] : [])),
    drivers,
    classes: new Set(classes.map(({ name }) => name)),
    templates: new Set(templates.map(({ namespace, name }) => `${namespace}/${name}`)),
    redact,
    ...(node !== undefined && { node }),
  };
}

function textsOf(server: string, picture: ClusterPicture): DumpText[] {
  const findings = findingsOf(picture);
  const now = Date.parse(picture.takenAt);
  const lines = {
    "cluster-status": statusLines(server, { picture, findings, wide: true }),
    pods: podLines(picture.pods, { wide: true, namespaced: false, now }),
    devices: deviceLines(picture.devices, true),
  };
  return Object.entries(lines).map(([name, each]) => ({
    file: `${name}.txt`,
    text: `${each.join("\n")}\n`,
  }));
}

/** What `explain` says of pods whose networks are not all attached. */
function explainedOf(picture: ClusterPicture, node: string | undefined): DumpText[] {
  const isAsked = (pod: PodView) =>
    node === undefined || pod.node === undefined || pod.node === node;
  return picture.pods.filter(isAsked).flatMap((pod) => {
    const ways = explainPod(pod, picture);
    if (ways.every(({ hangsAt }) => hangsAt === undefined)) return [];
    const lines = explainLines(podTitle(pod), ways);
    return [{ file: `${pod.namespace}/${pod.name}`, text: `${lines.join("\n")}\n` }];
  });
}
