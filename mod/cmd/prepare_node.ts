import type { Log } from "../agent/ports.ts";
import { assertRoot, programRunner, rootedRunner } from "../cni/launched_program.ts";
import { linkPluginFolders } from "../cni/plugin_folders.ts";
import type { RunProgram } from "../cni/program.ts";
import { installSessionLauncher } from "../cni/session_launcher.ts";
import { removeDeadSockets } from "../dra/dead_sockets.ts";
import { makeOwnFolder } from "../files/own_folder.ts";
import { linkSysfs } from "../inventory/sysfs.ts";
import { linkOwnNamespace } from "../netns/host_namespaces.ts";
import {
  installInterfaceLister,
  InterfaceLister,
  type ListInterfaces,
} from "../netns/interface_lister.ts";
import type { RunConfig } from "./run_config.ts";

/** What the node has for the agent besides its settings. */
export interface PreparedNode {
  /** Runs programs where plugins run: in the node's root, or in this process's. */
  readonly run: RunProgram;
  readonly interfaces: ListInterfaces;
}

/**
 * What an agent needs and may not do itself once it is confined: its folder, links out of it, the
 * launcher of its plugins, and the removal of what agents left that were killed.
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
  const launcher = await installSessionLauncher(stateDir).catch((error) => {
    // The disk takes nothing at the moment; plugins can be run without.
    log.warn("cannot write the launcher of plugins", { error: String(error) });
    return undefined;
  });
  const lister = await installInterfaceLister(stateDir).catch((error) => {
    log.warn("cannot write the program that lists the interfaces of pods", {
      error: String(error),
    });
    return undefined;
  });
  const interfaces = lister ? new InterfaceLister(lister).list : cannotTell;
  if (root === "") return { run: programRunner(launcher), interfaces };
  await assertRoot({ launcher, root });
  return { run: rootedRunner({ launcher: launcher!, root }), interfaces };
}

/** On machines that the lister does not speak. */
const cannotTell: ListInterfaces = () => Promise.resolve(undefined);
