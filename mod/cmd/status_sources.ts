import { join } from "node:path";
import { snapshotOfRecords } from "../agent/snapshot/recorded.ts";
import type { Log } from "../agent/ports.ts";
import { FileJournal } from "../journal/journal.ts";
import { type Answer, askAgents } from "../status/client.ts";
import { DOCUMENT_VERSION, type StatusDocument } from "../status/document.ts";
import { leasesWithoutSandbox } from "../status/leases.ts";
import { counted, type Problem } from "../status/problems.ts";

/** Where to find a node's agent. */
export interface StatusPlaces {
  readonly stateDir: string;
  readonly kubeletDir: string;
  readonly driverName: string;
}

/** A node's status, from an agent or from the records. */
export interface NodeStatus {
  readonly document: StatusDocument;
  /** What is wrong with the agent that was asked. */
  readonly problems: readonly Problem[];
  /** Whether any agent answered. */
  readonly answered: boolean;
}

/**
 * Asks the agents of this node, and reads the records if none of them leads. Changes nothing.
 *
 * @throws Error if neither is possible
 */
export async function lookAtNode(places: StatusPlaces): Promise<NodeStatus> {
  const look = await lookWithoutLeases(places);
  if (look.document.source !== "agent") return look;
  const again = async () => (await lookWithoutLeases(places)).document;
  // Whoever may not read them is still told the rest.
  const leases = await leasesWithoutSandbox(look.document, again).catch(() => undefined);
  return { ...look, document: { ...look.document, ...(leases && { leases }) } };
}

async function lookWithoutLeases(places: StatusPlaces): Promise<NodeStatus> {
  const answers = await askAgents(places.stateDir);
  const documents = answers.flatMap((each) => each.kind === "document" ? [each.document] : []);
  const problems = answers.flatMap((answer) => answerProblem(answer) ?? []);
  const agents = documents.flatMap((document) => document.agents);
  const leader = documents.find((document) => document.agents[0]?.role === "leads");
  if (leader) {
    const others = agents.filter((agent) => !leader.agents.includes(agent));
    const document = { ...leader, agents: [...leader.agents, ...others] };
    return { document, problems, answered: true };
  }
  const recorded = await recordsOf(places.stateDir);
  const [first] = documents;
  const document = { ...recorded.document, agents, settings: first?.settings ?? [] };
  const why = first
    ? [agentProblem("no agent of this node leads at the moment, so that the records are shown")]
    : problems.length > 0
    ? []
    : [agentProblem(await absence(places))];
  return {
    document,
    problems: [...why, ...problems, ...recorded.problems],
    answered: first !== undefined,
  };
}

function answerProblem(answer: Answer): Problem | undefined {
  switch (answer.kind) {
    case "document":
    case "nobody":
      return undefined;
    case "hangs":
      return agentProblem(
        `it hangs: nothing came from ${answer.socket} within ${answer.limitMs / 1000} s. See its ` +
          "log, and restart it",
      );
    case "unusable":
      return agentProblem(`the answer from ${answer.socket} cannot be used: ${answer.error}`);
  }
}

/** Why no agent answers. */
async function absence({ stateDir, kubeletDir, driverName }: StatusPlaces): Promise<string> {
  const folder = join(kubeletDir, "plugins", driverName);
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    if (!/^dra.*\.sock$/.test(name) || !await isServed(path)) continue;
    return `an agent serves the kubelet at ${path}, but tells nothing in ${stateDir}: it is of an ` +
      "earlier release, or keeps its state elsewhere (--state-dir)";
  }
  return `no agent that keeps its state in ${stateDir} runs; what its records tell is shown. See ` +
    "its log, or name its folder (--state-dir)";
}

async function isServed(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch {
    return false;
  }
}

async function recordsOf(
  stateDir: string,
): Promise<{ readonly document: StatusDocument; readonly problems: readonly Problem[] }> {
  const { unreadable, ...records } = await new FileJournal(stateDir, { log: SILENT }).read();
  const document: StatusDocument = {
    version: DOCUMENT_VERSION,
    source: "records",
    at: new Date().toISOString(),
    stateDir,
    agents: [],
    settings: [],
    ...snapshotOfRecords(records),
  };
  if (unreadable.length === 0) return { document, problems: [] };
  const message = `cannot read ${counted(unreadable.length, "file")}: ${unreadable.join(", ")}`;
  return { document, problems: [{ about: `records in ${stateDir}`, message }] };
}

function agentProblem(message: string): Problem {
  return { about: "agent", message };
}

/** A folder that does not exist counts as empty. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}

/** Reading logs nothing. */
const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };
