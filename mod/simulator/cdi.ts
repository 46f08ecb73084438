import { join } from "node:path";

/** A bind mount that a container gets. */
export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
}

/**
 * Finds the mounts of devices in the spec files, as a runtime does before it
 * asks its plugins.
 *
 * @throws Error for a device that is in no spec file
 */
export async function resolveCdi(folder: string, devices: readonly string[]): Promise<CdiMount[]> {
  const known = new Map<string, readonly CdiMount[]>();
  for (const { name } of devices.length > 0 ? await entries(folder) : []) {
    if (!name.endsWith(".json")) continue;
    // It may go at any time.
    const text = await Deno.readTextFile(join(folder, name)).catch(() => undefined);
    if (text === undefined) continue;
    const spec = JSON.parse(text);
    for (const device of spec.devices) {
      known.set(`${spec.kind}=${device.name}`, device.containerEdits.mounts ?? []);
    }
  }
  const missing = devices.filter((device) => !known.has(device));
  if (missing.length > 0) {
    throw new Error(`CDI device injection failed: unresolvable CDI devices ${missing.join(", ")}`);
  }
  return devices.flatMap((device) => known.get(device)!);
}

/**
 * Mounts as runc does when a container starts.
 *
 * @throws Error for a mount whose source does not exist
 */
export async function bindMounts(mounts: readonly CdiMount[]): Promise<void> {
  for (const { hostPath, containerPath } of mounts) {
    try {
      await Deno.stat(hostPath);
    } catch {
      throw new Error(
        `runc create failed: error mounting "${hostPath}" to rootfs at "${containerPath}": ` +
          "no such file or directory",
      );
    }
  }
}

async function entries(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch {
    return [];
  }
}
