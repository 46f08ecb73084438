/** The container runtimes with which the agent is tested. */
import { Containerd, type ContainerdVersion, fetchContainerd } from "./containerd.ts";
import { Crio, fetchCrio } from "./crio.ts";
import type { Runtime, RuntimeOptions } from "./runtime_daemon.ts";

interface RuntimeKind {
  /**
   * Brings what it needs into the cache, once; to be called where the network can be reached. Gives
   * why it cannot run here, in words for the user.
   */
  fetch(options: { readonly progress?: (line: string) => void }): Promise<string | undefined>;
  start(options: RuntimeOptions): Promise<Runtime>;
}

export type RuntimeName = `containerd ${ContainerdVersion}` | "CRI-O 1.34";

export const RUNTIMES: Readonly<Record<RuntimeName, RuntimeKind>> = {
  "containerd 1.7": containerd("1.7"),
  "containerd 2.1": containerd("2.1"),
  "containerd 2.4": containerd("2.4"),
  "CRI-O 1.34": {
    fetch: async (options) => {
      const found = await fetchCrio(options);
      return "missing" in found ? found.missing : undefined;
    },
    start: Crio.start,
  },
};

function containerd(version: ContainerdVersion): RuntimeKind {
  return {
    fetch: (options) => fetchContainerd(version, options),
    start: (options) => Containerd.start({ ...options, version }),
  };
}
