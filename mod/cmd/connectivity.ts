import { driversOf } from "../cluster/drivers.ts";
import { systemClock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { itemsOf } from "../cluster/objects.ts";
import type { ClusterObjects } from "../cluster/objects.ts";
import { readCluster } from "../cluster/read_cluster.ts";
import { type Plan, planOf, removeCommand } from "../connectivity/plan.ts";
import { checkCounts, checkTable } from "../connectivity/report.ts";
import { type Outcome, type Removal, runSession } from "../connectivity/session.ts";
import { TestCluster } from "../connectivity/test_cluster.ts";
import {
  choosePlace,
  configuredNetwork,
  describeNetwork,
  type TestedNetwork,
  TestProblem,
  usualClass,
} from "../connectivity/tested_network.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { KubeTestApi } from "../kube/test_api.ts";
import { userKubeconfig } from "../kube/user_kubeconfig.ts";
import { TEST } from "./commands/connectivity.ts";
import { parseConfigYaml } from "./config_yaml.ts";
import type { Values } from "./flag.ts";
import { readCommandLine } from "./flag_values.ts";
import { readGivenFile } from "./given_file.ts";
import { onSignals } from "./signals.ts";
import { UsageError } from "./usage_error.ts";
import { userHome } from "./user_home.ts";
import { VERSION } from "./version.ts";

type TestOptions = Values<typeof TEST.flags>;

/** The chart's default, if the cluster cannot tell. */
const USUAL_IMAGE = `localhost/network-dra:${VERSION}`;

/** `network-dra test`: tests a network between pods of a cluster. Gives the exit code. */
export async function testNetwork(argv: readonly string[]): Promise<number> {
  const { flags: options } = readCommandLine(TEST, argv, (name) => Deno.env.get(name));
  const network = askedNetwork(options);
  const connection = new KubeConnection({
    kubeconfig: kubeconfigOf(options),
    timeout: options.requestTimeout,
  });
  const interrupted = new AbortController();
  const abandoned = new AbortController();
  // The first signal ends the test, the second one the cleanup.
  const release = onSignals(() => (interrupted.signal.aborted ? abandoned : interrupted).abort());
  const say = (line: string) => console.error(line);
  try {
    const { plan, shown } = await planTest(options, {
      network,
      connection,
      signal: interrupted.signal,
    });
    say(`testing ${shown.network} between ${shown.nodes}, with the image ${shown.image}`);
    const { outcome, removal } = await runSession(
      plan,
      new TestCluster(new KubeTestApi(connection), plan),
      {
        driver: shown.driver,
        clock: systemClock,
        say,
        startMs: options.timeout,
        keep: options.keep,
        interrupted: interrupted.signal,
        abandoned: abandoned.signal,
      },
    );
    print(outcome, { options, shown });
    sayRemoval(removal, removeCommand(plan, kubectlOf(options)));
    return outcome.state === "judged" && outcome.checks.every(({ result }) => result !== "failed")
      ? 0
      : 1;
  } catch (error) {
    if (interrupted.signal.aborted) {
      throw new Error("interrupted; nothing was made", { cause: error });
    }
    if (!(error instanceof TestProblem)) throw error;
    console.error(`network-dra test: ${error.message}\n  what to do: ${error.whatToDo}`);
    return 1;
  } finally {
    release();
    connection.close();
  }
}

/** The network that the user names; undefined for the test's own. @throws UsageError */
function askedNetwork(
  { network, config, interface: own, class: className, imagePullSecret, namespace }: TestOptions,
): TestedNetwork | undefined {
  if (network !== undefined && config !== undefined) {
    throw new UsageError("--network and --config: give only one of them");
  }
  if (own !== undefined && (network !== undefined || config !== undefined)) {
    throw new UsageError(
      "--interface is for the test's own network: leave it out with --network and --config",
    );
  }
  if (imagePullSecret !== undefined && namespace === undefined) {
    throw new UsageError("--image-pull-secret needs --namespace: a new namespace has no Secrets");
  }
  if (network !== undefined) return { kind: "named", name: network };
  if (config !== undefined) {
    const text = readGivenFile(config, { at: "--config" });
    try {
      return configuredNetwork(parseConfigYaml(text), "");
    } catch (error) {
      throw new UsageError(`--config ${config}: ${errorMessage(error)}`);
    }
  }
  return className !== undefined && own === undefined ? { kind: "class" } : undefined;
}

/** @throws UsageError */
function kubeconfigOf({ kubeconfig, context }: TestOptions) {
  try {
    const home = userHome((name) => Deno.env.get(name));
    return userKubeconfig({ kubeconfig, context, home }).config;
  } catch (error) {
    throw new UsageError(errorMessage(error));
  }
}

/** What the report says about a test. */
interface Shown {
  readonly driver: string;
  readonly network: string;
  readonly nodes: string;
  readonly image: string;
}

/** Reads what the cluster has, and plans the test. @throws TestProblem */
async function planTest(
  options: TestOptions,
  { network: asked, connection, signal }: {
    readonly network: TestedNetwork | undefined;
    readonly connection: KubeConnection;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly plan: Plan; readonly shown: Shown }> {
  const objects = await readCluster(new KubeObjectSource(connection), {
    kinds: ["ResourceSlice", "Node", "AgentPod", "DeviceClass"],
    signal,
  });
  signal.throwIfAborted();
  const driver = driverOf(objects, options);
  const slices = slicesOf(objects).filter((slice) => slice.driver === driver);
  const unready = itemsOf(objects, "Node").filter(({ ready }) => !ready).map(({ name }) => name);
  const { nodes, network } = choosePlace(slices, {
    asked: { nodes: options.nodes, interface: options.interface, network: asked },
    unready,
    driver,
  });
  const className = options.class ?? usualClass(network);
  assertClass(objects, className);
  const image = options.image ?? itemsOf(objects, "AgentPod").find(({ image }) => image)?.image ??
    USUAL_IMAGE;
  const plan = planOf({
    id: crypto.randomUUID().slice(0, 5),
    namespace: options.namespace,
    driver,
    className,
    network,
    nodes,
    isolation: !options.routed,
    families: options.ipFamilies,
    image,
    pullPolicy: options.pullPolicy,
    pullSecret: options.imagePullSecret,
  });
  const shown = {
    driver,
    network: describeNetwork(network, className),
    nodes: nodes[0] === nodes[1] ? `two pods on ${nodes[0]}` : nodes.join(" and "),
    image,
  };
  return { plan, shown };
}

/** @throws TestProblem if several are installed */
function driverOf(objects: ClusterObjects, { driverName }: TestOptions): string {
  const [driver, ...others] = driversOf(itemsOf(objects, "AgentPod"), driverName);
  if (driver !== undefined && others.length === 0) return driver;
  throw new TestProblem(
    `agents of several drivers run: ${[driver, ...others].join(", ")}`,
    "give --driver-name with one of them",
  );
}

function slicesOf({ ResourceSlice: listed }: ClusterObjects) {
  if (listed.state === "read") return listed.items;
  const problem = listed.state === "unread"
    ? listed.unread.message
    : "ResourceSlices were not read";
  throw new TestProblem(
    problem,
    "check --context and the API server; the rights that a test needs are in " +
      "docs/how-to/test-a-network.md",
  );
}

/** @throws TestProblem if the class is known not to exist */
function assertClass({ DeviceClass: listed }: ClusterObjects, className: string): void {
  if (listed.state !== "read" || listed.items.some(({ name }) => name === className)) return;
  const names = listed.items.map(({ name }) => name).join(", ") || "none";
  throw new TestProblem(
    `there is no DeviceClass ${className}; there are: ${names}`,
    "give --class with one of the driver's, or install those of the chart (deviceClasses: true)",
  );
}

function print(
  outcome: Outcome,
  { options, shown }: { readonly options: TestOptions; readonly shown: Shown },
): void {
  if (options.output === "json") {
    return console.log(JSON.stringify({ ...shown, ...outcome }, null, 2));
  }
  switch (outcome.state) {
    case "judged":
      console.log(`${checkTable(outcome.checks)}\n\n${checkCounts(outcome.checks)}`);
      return;
    case "stopped":
      console.error(`network-dra test: ${outcome.problem}\n  what to do: ${outcome.whatToDo}`);
      return;
    case "interrupted":
      console.error("network-dra test: interrupted");
  }
}

function sayRemoval(removal: Removal, command: string): void {
  switch (removal.state) {
    case "removed":
      console.error("nothing of the test is left in the cluster");
      return;
    case "kept":
      console.error(`kept; to remove it: ${command}`);
      return;
    case "left":
      console.error(
        `not everything could be removed (${removal.problem}); to remove it: ${command}`,
      );
  }
}

/** kubectl with the flags that select the same cluster. */
function kubectlOf({ kubeconfig, context }: TestOptions): string {
  return [
    "kubectl",
    ...kubeconfig === undefined ? [] : [`--kubeconfig ${kubeconfig}`],
    ...context === undefined ? [] : [`--context ${context}`],
  ].join(" ");
}
