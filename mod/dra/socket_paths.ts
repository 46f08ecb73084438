import { join } from "node:path";

/** What the kernel takes as the path of a unix socket, in bytes. */
const LIMIT = 107;

/**
 * Where the sockets of a driver are.
 *
 * @throws RangeError when a path would be longer than the kernel takes; it says how long the driver's
 * name may be
 */
export function socketPaths({ kubeletDir, driver, podUid }: {
  readonly kubeletDir: string;
  readonly driver: string;
  readonly podUid?: string;
}): { readonly service: string; readonly registry: string } {
  const infix = podUid ? `-${podUid}` : "";
  const paths = {
    service: join(kubeletDir, "plugins", driver, `dra${infix}.sock`),
    registry: join(kubeletDir, "plugins_registry", `${driver}${infix}-reg.sock`),
  };
  for (const path of Object.values(paths)) {
    const excess = new TextEncoder().encode(path).length - LIMIT;
    if (excess <= 0) continue;
    const left = driver.length - excess;
    const where = `the kubelet folder ${kubeletDir}${podUid ? " and a pod's UID" : ""}`;
    throw new RangeError(
      `the socket path ${path} has ${LIMIT + excess} bytes, but a socket's path can have at most ` +
        `${LIMIT}: with ${where}, ` +
        (left > 0
          ? `the driver name can have at most ${left} characters`
          : "no driver name is short enough; use a shorter kubelet folder"),
    );
  }
  return paths;
}
