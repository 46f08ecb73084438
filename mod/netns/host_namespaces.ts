import { closeSync, openSync, statfsSync } from "node:fs";
import type { HeldNamespace, Namespaces } from "../agent/ports.ts";

/** statfs type of the kernel's namespace files (linux/magic.h: NSFS_MAGIC). */
const NSFS = 0x6e736673;

/** The network namespaces of this machine, by path. */
export class HostNamespaces implements Namespaces {
  readonly #own = Deno.statSync("/proc/self/ns/net");

  classify(path: string): "pod" | "host" | "gone" {
    try {
      // After a reboot or an unmount an ordinary file can stand where the namespace was.
      if (statfsSync(path).type !== NSFS) return "gone";
      const { dev, ino } = Deno.statSync(path);
      return dev === this.#own.dev && ino === this.#own.ino ? "host" : "pod";
    } catch (error) {
      if (isGone(error)) return "gone";
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

function isGone(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ENOENT" || code === "ENOTDIR" || error instanceof Deno.errors.NotFound;
}
