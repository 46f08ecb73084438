import type { Log } from "../agent/ports.ts";
import { removeDeadSockets } from "../dra/dead_sockets.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { linkSysfs } from "../inventory/sysfs.ts";
import { linkOwnNamespace } from "../netns/host_namespaces.ts";
import type { RunConfig } from "./run_config.ts";

/**
 * What an agent needs and may not do itself once it is confined: its folder, links out of it, and the
 * removal of what agents left that were killed.
 */
export async function prepareNode(config: RunConfig, log: Log): Promise<void> {
  const { stateDir, sysfsDir: sysfs, kubeletDir, driverName: driver } = config;
  await makeOwnFolder(stateDir);
  linkOwnNamespace(stateDir);
  linkSysfs({ sysfs, stateDir });
  await removeDeadSockets({ kubeletDir, driver, log });
}
