/**
 * What the commands print of a healthy pod and of pods without their network, on a cluster of two nodes
 * (`deno task transcript:faults`): writes docs/how-to/broken-pods.md. Ends with the exit code 0 only when
 * all of it was seen.
 */
import { furnishPrivateNode, inPrivateNode } from "../../mod/simulator/private_node.ts";
import { cli } from "../support/cli.ts";
import { STARTS } from "./agents/all.ts";
import { agentOf } from "./agents/daemonset_agent.ts";
import type { Json } from "./api.ts";
import { type Fault, FAULTS } from "./broken_pods.ts";
import { Cluster, NODE, SECOND_NODE } from "./cluster.ts";
import { endWithRunner } from "./inside.ts";
import { claim, pod } from "./objects.ts";
import { fetchParts } from "./parts.ts";
import { containerOf, Space } from "./space.ts";
import { RELEASES, runTranscript, transcriptCgroup } from "./transcripts.ts";

const PAGE = new URL("../../docs/how-to/broken-pods.md", import.meta.url).pathname;
const NAMESPACE = "shop";
const SYNC_FREQUENCY = "5s";

const intro = (version: string) =>
  `# What each fault looks like

**What you get:** what the commands say of a pod that has its network, and of pods that have not, each
for one reason; find yours, and do what it says. **Time:** 5 minutes.

> \`deno task transcript:faults\` wrote this page: every output is as it came out of a cluster of two
> nodes with Kubernetes ${version} and ${RELEASES.runtime}. The pods are in the namespace
> \`${NAMESPACE}\`. [See the whole cluster](see-the-cluster.md) and
> [Check a cluster](check-a-cluster.md) explain the commands,
> [Troubleshooting](troubleshooting.md) has more faults.
`;

/** The page, as it grows. */
class Page {
  readonly #parts: string[] = [];
  readonly #kubeconfig: string;

  constructor(kubeconfig: string) {
    this.#kubeconfig = kubeconfig;
  }

  add(text: string): void {
    this.#parts.push(text);
  }

  /** Runs a command of the plugin, and shows it as a user types it. */
  async type(...words: readonly string[]): Promise<void> {
    const kubeconfig = ["--kubeconfig", this.#kubeconfig];
    const { code, stdout, stderr } = await cli(["kubectl", ...words, ...kubeconfig]);
    this.show(`kubectl network-dra ${words.join(" ")}`, stdout + stderr, code);
  }

  show(command: string, said: string, code: number): void {
    this.add(`\`\`\`\n$ ${command}\n${said.trimEnd()}\n$ echo $?\n${code}\n\`\`\``);
    console.log(`${command}: exit code ${code}`);
  }

  get text(): string {
    return `${this.#parts.map((part) => part.trimEnd()).join("\n\n")}\n`;
  }
}

async function healthy(space: Space, page: Page): Promise<void> {
  for (const [name, node] of [["web", NODE], ["db", SECOND_NODE]] as const) {
    const lan = { name: "lan", subnet: 1, config: { ipam: ipamOf(name === "web" ? 2 : 3) } };
    await space.apply(claim(name, [lan]), pod(name, { claims: [name], node }));
    await space.assertNetwork(await space.running(name), { subnet: 1 });
  }
  page.add("## Pods that have their networks");
  await page.type("pods", "--namespace", NAMESPACE);
  await page.type("explain", "pod/web", "--namespace", NAMESPACE);
  for (const command of ["status", "networks", "devices", "doctor"]) await page.type(command);
}

function ipamOf(host: number) {
  return { type: "static", addresses: [{ address: `10.10.1.${host}/24` }] };
}

async function broken(space: Space, page: Page, fault: Fault): Promise<void> {
  const { name, story, pod, flags = [], asksNode } = fault;
  page.add(`## ${name[0]!.toUpperCase()}${name.slice(1)}\n\n${story}`);
  const agents = await agentOf(space.cluster).pods();
  await fault.during(space, async () => {
    await page.type("explain", `pod/${pod}`, "--namespace", NAMESPACE, ...flags);
    await page.type("doctor", ...flags);
    const agent = agents.find(({ spec }) => spec.nodeName === NODE);
    if (asksNode) await askNode(space.cluster, agent, page);
  });
}

/** What the node itself tells while the API server is away. */
async function askNode(cluster: Cluster, agent: Json, page: Page): Promise<void> {
  const { cri } = cluster.runtimeOf(agent);
  const { code, stdout, stderr } = await cri.outcome(
    containerOf(agent),
    "/network-dra",
    "status",
  );
  page.show("crictl exec CONTAINER /network-dra status", stdout + stderr, code);
}

async function inside(): Promise<void> {
  void endWithRunner();
  await furnishPrivateNode();
  const cluster = await Cluster.start({
    ...RELEASES,
    nodes: 2,
    cgroup: transcriptCgroup(),
    startAgent: STARTS.DaemonSet,
    syncFrequency: SYNC_FREQUENCY,
  });
  try {
    const page = new Page(await cluster.adminKubeconfig());
    page.add(intro(RELEASES.kubernetes));
    await Space.run(cluster, async (space) => {
      await healthy(space, page);
      for (const fault of FAULTS) {
        await space.clear();
        await broken(space, page, fault);
      }
      await space.clear();
    }, { namespace: NAMESPACE });
    await Deno.writeTextFile(PAGE, page.text);
  } finally {
    await cluster.stop();
  }
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    await inside();
    return 0;
  }
  const obstacle = await fetchParts(RELEASES, { progress: console.error });
  if (obstacle) {
    console.error(`there is no transcript: ${obstacle}`);
    return 1;
  }
  if (!await runTranscript(import.meta.filename!)) return 1;
  const formatted = await new Deno.Command(Deno.execPath(), { args: ["fmt", PAGE] }).output();
  return formatted.code;
}

if (import.meta.main) Deno.exit(await main());
