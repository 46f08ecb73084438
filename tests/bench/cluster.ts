/**
 * How long `cluster-status` takes in a large cluster, and how much memory. The API server's answers are
 * recorded before: giving them costs next to nothing while the command runs.
 */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  rawAgentPod,
  rawClaim,
  rawClass,
  type RawCluster,
  rawNode,
  rawSlice,
} from "../support/cluster_objects.ts";

/** The size of the cluster. */
export const NODES = 5_000;
export const CLAIMS = 50_000;

const READY = { reason: "NetworkInterfaceReady", message: "attached as net1" };

export interface ClusterFigures {
  /** Until the command ends. */
  readonly seconds: number;
  /** Of the processors, in user mode and in all, in seconds: that of the command alone. */
  readonly user: number;
  readonly processor: number;
  /** The most memory that it has had, in MB. */
  readonly memory: number;
}

/** Objects on a page, as the command asks for them. */
const PAGE = 1000;
/** Of a second in /proc/PID/stat. */
const TICKS = 100;

/** @param program the program and its arguments, before the command */
export async function measureCluster(program: readonly string[]): Promise<ClusterFigures> {
  const server = new Worker(import.meta.url, { type: "module" });
  const folder = await Deno.makeTempDir();
  try {
    const text = await new Promise<string>((resolve, reject) => {
      server.onmessage = ({ data }) => resolve(data);
      server.onerror = (event) => reject(new Error(event.message));
    });
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, text);
    return await measure([
      ...program,
      "cluster-status",
      "--kubeconfig",
      kubeconfig,
      "--request-timeout",
      "60s",
    ]);
  } finally {
    server.terminate();
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure([command = "", ...args]: readonly string[]): Promise<ClusterFigures> {
  const began = performance.now();
  const child = new Deno.Command(command, { args, stdout: "piped", stderr: "inherit" }).spawn();
  let [memory, user, processor] = [0, 0, 0];
  const looking = setInterval(() => {
    try {
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      memory = Math.max(memory, Number(status.match(/VmHWM:\s+(\d+)/)?.[1] ?? 0) / 1024);
      // What comes after the name in brackets begins with the third field.
      const fields = Deno.readTextFileSync(`/proc/${child.pid}/stat`).replace(/^.*\) /s, "").split(
        " ",
      );
      const [utime, stime] = [Number(fields[11]), Number(fields[12])];
      [user, processor] = [utime / TICKS, (utime + stime) / TICKS];
    } catch (error) {
      // It has ended since.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }, 20);
  try {
    const stdout = await new Response(child.stdout).text();
    clearInterval(looking);
    const { code } = await child.status;
    if (code !== 0 || !stdout.includes(`${CLAIMS} attached`)) {
      throw new Error(`cluster-status: exit code ${code}: ${stdout.slice(0, 500)}`);
    }
    return { seconds: (performance.now() - began) / 1000, user, processor, memory };
  } finally {
    clearInterval(looking);
  }
}

function largeCluster(): RawCluster {
  const nodes = Array.from({ length: NODES }, (_, i) => `node-${i}`);
  return {
    nodes: nodes.map((name) => rawNode(name)),
    pods: nodes.map((name) => rawAgentPod(name)),
    events: [],
    resourceslices: nodes.map((name) => rawSlice(name, ["eth1", "eth2", "eth3"])),
    resourceclaims: Array.from({ length: CLAIMS }, (_, i) =>
      rawClaim(`claim-${i}`, {
        node: nodes[i % NODES]!,
        reservedFor: [{ resource: "pods", name: `pod-${i}`, uid: `uid-${i}` }],
        ready: READY,
        ips: [`10.${i >> 14}.${(i >> 6) & 255}.${(i & 63) + 1}/16`],
      })),
    resourceclaimtemplates: [],
    deviceclasses: [rawClass("network-interface")],
  };
}

/** The pages of each list, compressed as the API server compresses long answers. */
function recorded(cluster: RawCluster): ReadonlyMap<string, readonly Uint8Array<ArrayBuffer>[]> {
  return new Map(
    Object.entries(cluster).map(([plural, items]) => {
      const pages: Uint8Array<ArrayBuffer>[] = [];
      for (let from = 0; from === 0 || from < items.length; from += PAGE) {
        const more = from + PAGE < items.length && { continue: `${pages.length + 1}` };
        const list = {
          metadata: { resourceVersion: "1000", ...more },
          items: items.slice(from, from + PAGE),
        };
        pages.push(new Uint8Array(gzipSync(JSON.stringify(list), { level: 1 })));
      }
      return [plural, pages];
    }),
  );
}

/** Serves what was recorded; the pods are the agents', none of which is pending. */
function serveRecorded(pages: ReturnType<typeof recorded>): string {
  const empty = gzipSync('{"metadata":{"resourceVersion":"1000"},"items":[]}');
  const headers = { "Content-Type": "application/json", "Content-Encoding": "gzip" };
  const { addr } = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const { pathname, searchParams } = new URL(url);
    const list = pages.get(pathname.split("/").at(-1)!);
    if (!list) return new Response(null, { status: 404 });
    const isPending = searchParams.get("fieldSelector") === "status.phase=Pending";
    const page = list[Number(searchParams.get("continue") ?? 0)];
    return new Response(isPending ? empty : page, { headers });
  });
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "recorded", cluster: { server: `http://127.0.0.1:${addr.port}` } }],
    users: [{ name: "user", user: {} }],
    contexts: [{ name: "recorded", context: { cluster: "recorded", user: "user" } }],
    "current-context": "recorded",
  });
}

// The API server is a separate thread, so that what it does is not the command's.
if ("WorkerGlobalScope" in globalThis) {
  (self as unknown as Worker).postMessage(serveRecorded(recorded(largeCluster())));
}
