import { join, resolve } from "node:path";
import { ADDRESS_PATH, parseNetworkAddress } from "../addresses/address_object.ts";
import { leftovers, links } from "./leftovers.ts";
import { stringify } from "yaml";
import { aborted } from "../async/aborted.ts";
import { type FileSet, readFileSet } from "../manifests/file_set.ts";
import { findCniPlugins } from "../simulator/cni_plugins.ts";
import { SimulatedNode } from "../simulator/node.ts";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../simulator/private_node.ts";
import { withAdvice } from "./advice.ts";
import { makeDescribedInterfaces } from "./described_sysfs.ts";
import { DEFAULT_NODE, type DescribedNode, parseNodeFile } from "./node_file.ts";
import { publishOtherNodes } from "./other_nodes.ts";
import { PluginFolders } from "../cni/plugin_folders.ts";
import { runAgent } from "./agent_lifecycle.ts";
import { openLog } from "./logging.ts";
import { pluginRunner } from "../cni/plugin_runner.ts";
import { grepAll } from "../inventory/sysfs.ts";
import { prepareNode } from "./prepare_node.ts";
import { onSignals } from "./signals.ts";
import { toStderr } from "./stderr.ts";
import { thisProcess } from "./this_process.ts";
import { parseRunConfig, type RunConfig } from "./run_config.ts";
import { TRY } from "./commands/try.ts";
import type { Values } from "./flag.ts";
import { readCommandLine } from "./flag_values.ts";
import { assertFolder, readGivenFile } from "./given_file.ts";
import { readInput, readSources } from "./given_sources.ts";
import { encodeOutside, readOutside } from "./outside.ts";
import { errorMessage } from "../async/error_message.ts";

type TryOptions = Values<typeof TRY.flags>;

/** How long the networks of a pod may take to be detached after a failure. */
const FAILED_TIMEOUT_MS = 10_000;
/** Everything that was tried works, but some things could not be tried. */
const EXIT_INCOMPLETE = 3;
/** How long to wait for the claims' status after the pods run. */
const STATUS_TIMEOUT_MS = 10_000;

/**
 * `network-dra try`: runs the claims and pods of files on a simulated node. Prints the claims in
 * their final state on stdout and the steps on stderr. Gives the exit code.
 */
export async function tryFiles(argv: readonly string[]): Promise<number> {
  const { flags: options, args } = readCommandLine(TRY, argv);
  // Read first, so that bad input is refused before anything is created.
  for (const path of options.cniPath ?? []) assertFolder(path, { at: "--cni-path" });
  if (options.networkDir !== undefined) assertFolder(options.networkDir, { at: "--network-dir" });
  const inside = inPrivateNode() ? await readOutside(Deno.stdin.readable) : undefined;
  let input = inside?.outside.input;
  const files = await readSources(args, async () => input ??= await readInput());
  const given: Given = {
    files: readFileSet(files, options.driverName),
    config: options.config === undefined ? "" : readGivenFile(options.config, { at: "--config" }),
    nodes: options.node === undefined
      ? []
      : parseNodeFile(readGivenFile(options.node, { at: "--node" }), options.node),
  };
  if (inside) return await tryInside(given, options, inside);
  const obstacle = await privateNodeObstacle();
  if (obstacle !== undefined) {
    toStderr(`network-dra try cannot create a simulated node: ${obstacle}\n`);
    return 1;
  }
  const cniPath = options.cniPath ??
    await findCniPlugins({ progress: (line) => toStderr(`${line}\n`) });
  const again = [...selfArguments(), "try", "--cni-path", cniPath.join(":"), ...argv];
  const child = spawnInPrivateNode(Deno.execPath(), { args: again });
  const pipe = child.stdin.getWriter();
  await pipe.write(encodeOutside({ pid: child.pid, input })).catch(() => {});
  const release = onSignals(() => void pipe.close().catch(() => {}));
  try {
    return (await child.status).code;
  } finally {
    release();
  }
}

/** The arguments that run this program again: none for an executable, the script and its permissions for Deno. */
function selfArguments(): string[] {
  return Deno.build.standalone ? [] : ["run", "--quiet", "--allow-all", Deno.mainModule];
}

/** The content of the files. */
interface Given {
  readonly files: FileSet;
  /** The text of the agent's configuration file. */
  readonly config: string;
  readonly nodes: readonly DescribedNode[];
}

async function tryInside(
  { files, config: text, nodes }: Given,
  options: TryOptions,
  { outside, ended }: Awaited<ReturnType<typeof readOutside>>,
) {
  const began = performance.now();
  const step = (line: string) => {
    const seconds = ((performance.now() - began) / 1000).toFixed(3);
    toStderr(`${seconds.padStart(8)}s  ${line}\n`);
  };
  const { driver, manifests, namespaces, passedOver, notSimulated } = files;
  for (const line of [...passedOver, ...notSimulated]) step(line);
  const [own, ...others] = nodes;
  const name = own?.name ?? DEFAULT_NODE;
  await furnishPrivateNode();
  const folder = await Deno.makeTempDir({ dir: "/run", prefix: "try-" });
  const sysfs = join(folder, "sysfs");
  if (own) await makeDescribedInterfaces(own.interfaces, sysfs);
  const linksBefore = await links();
  const node = new SimulatedNode({ name, folder, driver, step });
  await node.start();
  node.storeNetworks(manifests, { namespaces });
  const has = (kind: string) => `${manifests.some((each) => each.kind === kind)}`;
  const { paths } = node;
  const given = parseRunConfig([
    ...["--node-name", name],
    ...["--driver-name", driver],
    ...["--kubelet-dir", paths.kubeletDir],
    ...["--nri-socket", paths.nriSocket],
    ...["--state-dir", paths.stateDir],
    ...["--cdi-dir", paths.cdiDir],
    ...["--kubeconfig", paths.kubeconfig],
    ...["--cni-path", options.cniPath!.join(":")],
    ...own ? ["--sysfs-dir", sysfs] : [],
    ...options.networkDir === undefined ? [] : ["--network-dir", resolve(options.networkDir)],
    `--network-objects=${has("Network")}`,
    `--network-attachment-definitions=${has("NetworkAttachmentDefinition")}`,
    // Nothing queries the agent of a simulated node, and an agent on the machine may use the port.
    ...["--listen", ""],
    ...["--log-level", options.verbose ? "debug" : "error"],
    ...options.config === undefined ? [] : ["--config", options.config],
  ], {
    env: () => undefined,
    readFile: () => text,
    hostname: () => name,
    cores: thisProcess.cores,
  });
  const config = withoutCables(given);
  const log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
  const prepared = await prepareNode(config, log);
  const end = new AbortController();
  const interrupted = new AbortController();
  const release = onSignals(() => interrupted.abort());
  void ended.then(() => interrupted.abort());
  const run = pluginRunner({ ...config, run: prepared.run });
  const agent = runAgent(config, {
    log,
    signal: end.signal,
    run,
    read: grepAll,
    interfaces: prepared.interfaces,
  });
  const failures: string[] = [];
  const untried = [...notSimulated];
  const attempt = async (task: () => Promise<unknown>) => {
    try {
      await task();
    } catch (error) {
      const problem = errorMessage(error);
      failures.push(
        failures.length === 0 ? withAdvice(problem, config.cniPath) : `then: ${problem}`,
      );
    }
  };
  await attempt(async () => {
    await Promise.race([node.kubelet.registered(driver), agent]);
    step(`agent ready as ${driver}`);
    const pluginTypes = new PluginFolders(config).types();
    await publishOtherNodes(others, { node, config, pluginTypes });
    untried.push(...await node.run(manifests));
    await statusWritten(node, driver);
  });
  print(node, options);
  if (options.keep && !interrupted.signal.aborted) {
    for (const { pod, command } of node.entrances(outside.pid)) {
      step(`pod ${pod}: ${command}`);
    }
    step("the node is kept; Ctrl-C tears it down");
    await aborted(interrupted.signal);
  }
  // Networks that could not be attached may never be detached.
  await attempt(() => node.drain(failures.length > 0 ? FAILED_TIMEOUT_MS : undefined));
  end.abort();
  await attempt(() => agent);
  await node.stop();
  release();
  const left = [...await leftovers(paths, linksBefore), ...addressesInUse(node)];
  failures.push(...left.map((thing) => `left behind: ${thing}`));
  if (left.length === 0) step("torn down; nothing is left");
  for (const failure of failures) toStderr(`network-dra try: ${failure}\n`);
  if (failures.length > 0) return 1;
  if (untried.length === 0) return 0;
  toStderr(`network-dra try: not everything could be tried:\n`);
  for (const thing of untried) toStderr(`  ${thing}\n`);
  return EXIT_INCOMPLETE;
}

/** Addresses that no pod has any more; those that are kept for a pod's name are no leftovers. */
function addressesInUse({ api }: SimulatedNode): string[] {
  return api.objects.all(ADDRESS_PATH).map(parseNetworkAddress)
    .filter(({ keptUntil }) => keptUntil === undefined)
    .map(({ network, address }) => `the address ${address} of network ${network}`);
}

/** Leaves out the other ends of the node's veth pairs. */
function withoutCables(config: RunConfig): RunConfig {
  const exclude = [...config.interfaces.exclude ?? [], "uplink", "wire*"];
  return { ...config, interfaces: { ...config.interfaces, exclude } };
}

/** Waits until the agent has written a condition for every allocated device of the driver. */
async function statusWritten(node: SimulatedNode, driver: string): Promise<void> {
  const until = performance.now() + STATUS_TIMEOUT_MS;
  const isWritten = () =>
    node.api.all().every(({ status }) => {
      const { devices } = (status?.allocation ?? { devices: { results: [] } }) as {
        devices: { results: { driver: string; pool: string }[] };
      };
      const ours = devices.results.filter((result) =>
        result.driver === driver && result.pool === node.name
      );
      const unused = ((status?.reservedFor ?? []) as unknown[]).length === 0;
      return unused || (status?.devices ?? []).length >= ours.length;
    });
  while (!isWritten()) {
    if (performance.now() > until) throw new Error("the agent has not written the claims' status");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function print(node: SimulatedNode, { output }: TryOptions): void {
  const claims = node.api.all();
  const list = { apiVersion: "v1", kind: "List", items: claims };
  const shown = claims.length === 1 ? claims[0] : list;
  console.log(
    output === "json"
      ? JSON.stringify(shown, null, 2)
      : stringify(shown, { version: "1.1", aliasDuplicateObjects: false }).trimEnd(),
  );
}
