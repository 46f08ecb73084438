import { join } from "node:path";

/** Where the sockets of a driver are. */
export function socketPaths({ kubeletDir, driver, podUid }: {
  readonly kubeletDir: string;
  readonly driver: string;
  readonly podUid?: string;
}): { readonly service: string; readonly registry: string } {
  const infix = podUid ? `-${podUid}` : "";
  return {
    service: join(kubeletDir, "plugins", driver, `dra${infix}.sock`),
    registry: join(kubeletDir, "plugins_registry", `${driver}${infix}-reg.sock`),
  };
}
