import { closeSync, openSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import type { HeldNamespace, Namespaces } from "../agent/ports.ts";
import { makeOwnLink } from "../files/own_link.ts";
import type { ListInterfaces } from "./interface_lister.ts";

/** statfs type of the kernel's namespace files (linux/magic.h: NSFS_MAGIC). */
const NSFS = 0x6e736673;

const LINK = "own-netns";
const OWN = "/proc/self/ns/net";

interface Identity {
  readonly dev: number;
  readonly ino: number | null;
}

/** The network namespaces of this machine, by path. */
export class HostNamespaces implements Namespaces {
  readonly #own: Identity;
  readonly interfaces: ListInterfaces;

  /** @param stateDir has the link that {@link linkOwnNamespace} made */
  constructor(stateDir: string, { interfaces }: { readonly interfaces: ListInterfaces }) {
    const { dev, ino } = Deno.statSync(join(stateDir, LINK));
    this.#own = { dev, ino };
    this.interfaces = interfaces;
  }

  /** @throws Error that names --netns-dir where the agent may not look at the path */
  classify(path: string): "pod" | "host" | "gone" {
    try {
      // After a reboot or an unmount, an ordinary file can be in place of the namespace.
      if (statfsSync(path).type !== NSFS) return "gone";
      const { dev, ino } = Deno.statSync(path);
      return dev === this.#own.dev && ino === this.#own.ino ? "host" : "pod";
    } catch (error) {
      if (isGone(error)) return "gone";
      if (error instanceof Deno.errors.NotCapable) throw elsewhere(path, error);
      throw error;
    }
  }

  hold(path: string): HeldNamespace | undefined {
    if (this.classify(path) !== "pod") return undefined;
    let descriptor: number | undefined;
    try {
      descriptor = openSync(path, "r");
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
    return {
      path: `/proc/${Deno.pid}/fd/${descriptor}`,
      release() {
        if (descriptor !== undefined) closeSync(descriptor);
        descriptor = undefined;
      },
    };
  }
}

/**
 * Links to the namespace in which this process, and so every plugin it runs, lives. Deno opens /proc
 * only to programs that may do everything; a link that leads there is enough to learn its identity.
 * Only who may read and write everywhere makes links.
 *
 * @param stateDir a folder of the agent's own, which exists
 */
export function linkOwnNamespace(stateDir: string): void {
  makeOwnLink(join(stateDir, LINK), OWN);
}

/** The confined agent sees one folder of namespaces. */
function elsewhere(path: string, cause: Error): Error {
  return new Error(
    `the container runtime keeps the network namespace at ${path}, where the agent does not look: ` +
      `start it with --netns-dir ${dirname(path)} (the chart's value netnsDir)`,
    { cause },
  );
}

function isGone(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ENOENT" || code === "ENOTDIR" || error instanceof Deno.errors.NotFound;
}
