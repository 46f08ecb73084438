import { join } from "node:path";
import { leftovers, links } from "./leftovers.ts";
import { parseArgs } from "node:util";
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
import { onSignals } from "./run.ts";
import { toStderr } from "./stderr.ts";
import { thisProcess } from "./this_process.ts";
import { parseRunConfig, type RunConfig } from "./run_config.ts";
import { flagValue } from "./flag_value.ts";
import * as take from "./settings.ts";
import { UsageError } from "./usage_error.ts";
import { errorMessage } from "../async/error_message.ts";

interface TryOptions {
  readonly files: readonly string[];
  readonly output: "yaml" | "json";
  readonly keep: boolean;
  readonly verbose: boolean;
  readonly driver?: string;
  readonly cniPath?: readonly string[];
  /** The agent's configuration file. */
  readonly config?: string;
  /** A file that describes the node's interfaces, and other nodes. */
  readonly node?: string;
}

/** How long the networks of a pod may take to be detached after a failure. */
const FAILED_TIMEOUT_MS = 10_000;
/** All that was tried works, and not all could be tried. */
const EXIT_INCOMPLETE = 3;
/** How long the claims' status is awaited after the pods run. */
const STATUS_TIMEOUT_MS = 10_000;

/**
 * `network-dra try`: runs the claims and pods of files on a simulated node. Prints the claims as they
 * ended on stdout and the steps on stderr. Gives the exit code.
 */
export async function tryFiles(argv: readonly string[]): Promise<number> {
  const options = parseTryOptions(argv);
  // Read first: bad input is refused before anything is made.
  const files = options.files.map((file) => ({ file, text: readFile(file) }));
  const given: Given = {
    files: readFileSet(files, options.driver),
    config: options.config === undefined ? "" : readFile(options.config),
    nodes: options.node === undefined ? [] : parseNodeFile(readFile(options.node), options.node),
  };
  if (inPrivateNode()) return await tryInside(given, options);
  const obstacle = await privateNodeObstacle();
  if (obstacle !== undefined) {
    toStderr(`network-dra try cannot make a simulated node: ${obstacle}\n`);
    return 1;
  }
  const cniPath = options.cniPath ??
    await findCniPlugins({ progress: (line) => toStderr(`${line}\n`) });
  const again = [...selfArguments(), "try", ...argv, "--cni-path", cniPath.join(":")];
  const inside = spawnInPrivateNode(Deno.execPath(), { args: again });
  const input = inside.stdin.getWriter();
  await input.write(new TextEncoder().encode(`${inside.pid}\n`)).catch(() => {});
  const release = onSignals(() => void input.close().catch(() => {}));
  try {
    return (await inside.status).code;
  } finally {
    release();
  }
}

/** What runs this program again: nothing more for an executable, the script and its rights for Deno. */
function selfArguments(): string[] {
  return Deno.build.standalone ? [] : ["run", "--quiet", "--allow-all", Deno.mainModule];
}

/** What the files say. */
interface Given {
  readonly files: FileSet;
  /** The text of the agent's configuration file. */
  readonly config: string;
  readonly nodes: readonly DescribedNode[];
}

async function tryInside({ files, config: text, nodes }: Given, options: TryOptions) {
  const began = performance.now();
  const step = (line: string) => {
    const seconds = ((performance.now() - began) / 1000).toFixed(3);
    toStderr(`${seconds.padStart(8)}s  ${line}\n`);
  };
  const { driver, manifests, passedOver, notSimulated } = files;
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
    // Nobody asks the agent of a simulated node, and one on the machine may have the port.
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
  const outside = Promise.withResolvers<string>();
  void readInput(outside.resolve).then(() => interrupted.abort());
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
    for (const { pod, command } of node.entrances(await outside.promise)) {
      step(`pod ${pod}: ${command}`);
    }
    step("the node is kept; Ctrl-C tears it down");
    await aborted(interrupted.signal);
  }
  // What could not be attached may never be detached.
  await attempt(() => node.drain(failures.length > 0 ? FAILED_TIMEOUT_MS : undefined));
  end.abort();
  await attempt(() => agent);
  await node.stop();
  release();
  const left = await leftovers(paths, linksBefore);
  failures.push(...left.map((thing) => `left behind: ${thing}`));
  if (left.length === 0) step("torn down; nothing is left");
  for (const failure of failures) toStderr(`network-dra try: ${failure}\n`);
  if (failures.length > 0) return 1;
  if (untried.length === 0) return 0;
  toStderr(`network-dra try: not everything could be tried:\n`);
  for (const thing of untried) toStderr(`  ${thing}\n`);
  return EXIT_INCOMPLETE;
}

/** The other ends of the node's cables are no interfaces of its own. */
function withoutCables(config: RunConfig): RunConfig {
  const exclude = [...config.interfaces.exclude ?? [], "uplink", "wire*"];
  return { ...config, interfaces: { ...config.interfaces, exclude } };
}

/** Until every allocated device of the driver has a condition, as written by the agent. */
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

/**
 * Until the process outside, which holds the other end, ends or wants this to end. It first says by which
 * process ID this node is known there.
 */
async function readInput(pid: (text: string) => void): Promise<void> {
  const buffer = new Uint8Array(64);
  for (
    let read = await Deno.stdin.read(buffer);
    read !== null;
    read = await Deno.stdin.read(buffer)
  ) {
    pid(new TextDecoder().decode(buffer.subarray(0, read)).trim());
  }
}

function readFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function parseTryOptions(argv: readonly string[]): TryOptions {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        "output": { type: "string", short: "o", default: "yaml" },
        "keep": { type: "boolean", default: false },
        "verbose": { type: "boolean", default: false },
        "driver-name": { type: "string" },
        "cni-path": { type: "string" },
        "config": { type: "string" },
        "node": { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0]!);
  }
  const { values, positionals } = parsed;
  if (positionals.length === 0) throw new UsageError("try: name one or more YAML files");
  return {
    files: positionals,
    output: flagValue("-o", values.output!, take.oneOf("yaml", "json")),
    keep: values.keep!,
    verbose: values.verbose!,
    ...(values.config !== undefined && { config: values.config }),
    ...(values.node !== undefined && { node: values.node }),
    ...(values["driver-name"] !== undefined &&
      { driver: flagValue("--driver-name", values["driver-name"], take.driverName) }),
    ...(values["cni-path"] !== undefined &&
      { cniPath: flagValue("--cni-path", values["cni-path"], take.searchPath) }),
  };
}
