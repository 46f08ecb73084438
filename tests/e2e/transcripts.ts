/** What transcripts have in common: a private node with a cluster in which commands are typed. */
import { removeCgroup } from "../support/runtime_daemon.ts";
import { runInside } from "./inside.ts";
import { KUBERNETES } from "./kubernetes_programs.ts";
import type { Releases } from "./parts.ts";

/** What the documentation shows. */
export const RELEASES: Releases = { kubernetes: KUBERNETES, runtime: "containerd 2.1" };

const CGROUP = "NETWORK_DRA_TRANSCRIPT_CGROUP";

/** Inside: the name of the cgroup for the cluster's pods. */
export function transcriptCgroup(): string {
  return Deno.env.get(CGROUP)!;
}

/** Runs a file in a new private node and removes the cgroups of its pods; gives whether it did well. */
export async function runTranscript(file: string): Promise<boolean> {
  const cgroup = `network-dra-transcript-${crypto.randomUUID().slice(0, 8)}`;
  const nodes = [cgroup, `${cgroup}-node-2`];
  try {
    return await runInside(file, { env: { [CGROUP]: cgroup }, print: console.log });
  } finally {
    for (const node of nodes) {
      for await (const { name } of Deno.readDir("/sys/fs/cgroup")) {
        await removeCgroup(`/sys/fs/cgroup/${name}/${node}`);
      }
      await removeCgroup(`/sys/fs/cgroup/${node}`);
    }
  }
}
