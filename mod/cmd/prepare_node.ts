import { errorMessage } from "../async/error_message.ts";
import type { Log } from "../agent/ports.ts";
import { assertRoot, programRunner, rootedRunner } from "../cni/launched_program.ts";
import { linkPluginFolders } from "../cni/plugin_folders.ts";
import type { RunProgram } from "../cni/program.ts";
import { installSessionLauncher } from "../cni/session_launcher.ts";
import { removeDeadSockets } from "../dra/dead_sockets.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { linkSysfs } from "../inventory/sysfs.ts";
import { isStatusSocket, statusFolder } from "../status/socket.ts";
import { removeDeadSocketsIn } from "../unix/dead_sockets.ts";
import { linkOwnNamespace } from "../netns/host_namespaces.ts";
import {
  installInterfaceLister,
  InterfaceLister,
  type ListInterfaces,
} from "../netns/interface_lister.ts";
import type { RunConfig } from "./run_config.ts";

/** What the node provides for the agent, in addition to its settings. */
export interface PreparedNode {
  /** Runs programs where plugins run: in the node's root, or in this process's root. */
  readonly run: RunProgram;
  readonly interfaces: ListInterfaces;
}

/**
 * Does what an agent needs but cannot do itself once it is confined: creates its folder, links out of it
 * and the launcher of its plugins, and removes what killed agents left.
 *
 * @throws Error when plugins cannot run in `chrootDir`
 */
export async function prepareNode(config: RunConfig, log: Log): Promise<PreparedNode> {
  const { stateDir, sysfsDir: sysfs, kubeletDir, driverName: driver, chrootDir: root } = config;
  await makeOwnFolder(stateDir);
  linkOwnNamespace(stateDir);
  linkSysfs({ sysfs, stateDir });
  linkPluginFolders(config);
  await removeDeadSockets({ kubeletDir, driver, log });
  await removeDeadSocketsIn(statusFolder(stateDir), isStatusSocket);
  const launcher = await installSessionLauncher(stateDir).catch((error) => {
    // The disk cannot be written to at the moment; plugins can run without it.
    log.warn("cannot write the plugin launcher", { error: errorMessage(error) });
    return undefined;
  });
  const lister = await installInterfaceLister(stateDir).catch((error) => {
    log.warn("cannot write the program that lists the pods' interfaces", {
      error: errorMessage(error),
    });
    return undefined;
  });
  const interfaces = lister ? new InterfaceLister(lister).list : cannotTell;
  if (root === "") return { run: programRunner(launcher), interfaces };
  await assertRoot({ launcher, root });
  return { run: rootedRunner({ launcher: launcher!, root }), interfaces };
}

/** For machines that the lister does not support. */
const cannotTell: ListInterfaces = () => Promise.resolve(undefined);
