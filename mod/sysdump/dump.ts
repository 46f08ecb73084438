import { Limiter } from "../async/limiter.ts";
import type { ClusterPicture, NodeView } from "../cluster/picture.ts";
import { ReadError } from "../cluster/ports.ts";
import type { Cleaner } from "./cleaner.ts";
import { learnFromObject, learnFromStatus, learnFromText } from "./names.ts";
import { DUMPED_KINDS, type DumpedKind, type DumpScope } from "./objects.ts";
import type { AgentContainer, Archive, DumpSource } from "./ports.ts";
import type { Redactor } from "./redactor.ts";

/** Agents whose logs and status are fetched: those with problems first. */
export const MOST_AGENTS = 50;
/** Bytes of one log, and of one agent's status. */
export const MOST_LOG = 4 * 1024 * 1024;
const MOST_STATUS = 16 * 1024 * 1024;
/** Agents that are asked at once: so many logs and documents are in memory. */
const AT_ONCE = 4;
/** Pods that are explained, those that are broken. */
const MOST_EXPLAINED = 500;
const STATUS_COMMAND = ["/network-dra", "status", "-o", "json"] as const;

/** A text that commands print, with the file that it goes to. */
export interface DumpText {
  readonly file: string;
  readonly text: string;
}

/** What an archive is made of. */
export interface DumpOptions {
  readonly picture: ClusterPicture;
  /** UIDs of the pods and claims of the picture, and of the agents. */
  readonly scope: DumpScope;
  /** What the program says of the cluster, and of each broken pod. */
  readonly texts: readonly DumpText[];
  readonly explained: readonly DumpText[];
  /** How old a line of a log may be, in seconds. */
  readonly sinceSeconds: number;
  readonly cleaner: Cleaner;
  readonly redactor: Redactor | undefined;
  /** Of the archive itself, for its index. */
  readonly about: Readonly<Record<string, unknown>>;
  /** Aborted when the time is over: what is not there by then is missing. */
  readonly over: AbortSignal;
  /** Told what is done, for people. */
  readonly say: (line: string) => void;
}

/** A file of an archive. */
export interface DumpedFile {
  readonly file: string;
  readonly bytes: number;
  /** What is not all in it, and why. */
  readonly cut?: string;
}

/** What an archive has not, and why. */
export interface Missing {
  readonly what: string;
  readonly why: string;
}

/** What became of an archive. */
export interface Dumped {
  readonly files: readonly DumpedFile[];
  readonly missing: readonly Missing[];
}

/** Fills an archive. What cannot be had is named in its index, and the rest is in it all the same. */
export async function fillArchive(
  archive: Archive,
  source: DumpSource,
  options: DumpOptions,
): Promise<Dumped> {
  return await new Dump(archive, source, options).fill();
}

class Dump {
  readonly #archive: Archive;
  readonly #source: DumpSource;
  readonly #options: DumpOptions;
  readonly #files: DumpedFile[] = [];
  readonly #missing: Missing[] = [];
  readonly #paths = new Set<string>();
  readonly #writing = new Limiter(1);

  constructor(archive: Archive, source: DumpSource, options: DumpOptions) {
    this.#archive = archive;
    this.#source = source;
    this.#options = options;
  }

  async fill(): Promise<Dumped> {
    const { texts, explained, cleaner, about, picture, say } = this.#options;
    say("reading the cluster's objects");
    await this.#try("versions.json", async (signal) => {
      await this.#addJson("versions.json", {
        ...about,
        apiServer: await this.#source.get("/version", signal),
        nodes: picture.nodes.map(({ name, kubelet, runtime, agent }) => ({
          name,
          kubelet,
          runtime,
          ...("pod" in agent && { agent: agent.pod.version, image: agent.pod.image }),
        })),
      });
    });
    for (const kind of DUMPED_KINDS) await this.#objects(kind);
    await this.#agents();
    for (const { file, text } of texts) await this.#add(file, cleaner.text(text));
    for (const { file, text } of explained.slice(0, MOST_EXPLAINED)) {
      const path = `explain/${file.split("/").map((part) => cleaner.name(part)).join("/")}.txt`;
      await this.#add(path, cleaner.text(text));
    }
    if (explained.length > MOST_EXPLAINED) {
      const rest = explained.length - MOST_EXPLAINED;
      this.#lacks(`explain of ${rest} more pods`, `only ${MOST_EXPLAINED} are explained`);
    }
    const files = this.#files.toSorted((one, other) => one.file < other.file ? -1 : 1);
    const missing = [...this.#missing];
    await this.#addJson("index.json", { ...about, files, missing });
    return { files, missing };
  }

  /** A file a page, so that no more than a page is in memory. */
  async #objects({ file, path, apiVersion, kind, show }: DumpedKind): Promise<void> {
    const { redactor, scope } = this.#options;
    let pages = 0;
    await this.#try(`objects/${file}.json`, async (signal) => {
      for await (const objects of this.#source.pages(path, signal)) {
        const shown = objects.flatMap((object) => show(object, scope) ?? []);
        if (shown.length === 0) continue;
        if (redactor) { for (const each of shown) learnFromObject(redactor, kind, each); }
        const items = shown.map((each) => ({ apiVersion, kind, ...each as object }));
        const name = ++pages === 1 ? file : `${file}-${pages}`;
        await this.#addJson(`objects/${name}.json`, { apiVersion: "v1", kind: "List", items });
      }
      if (pages === 0) {
        await this.#addJson(`objects/${file}.json`, { apiVersion: "v1", kind: "List", items: [] });
      }
    });
  }

  async #agents(): Promise<void> {
    const { picture, scope: { node: only }, say } = this.#options;
    const broken = brokenNodes(picture);
    const agents = picture.nodes.filter(({ name, agent }) =>
      "pod" in agent && (only === undefined || name === only)
    ).toSorted((one, other) => urgency(one, broken) - urgency(other, broken));
    if (agents.length === 0) {
      this.#lacks(
        "logs and status of agents",
        only === undefined ? "no pods of agents are known" : `no agent's pod is on node ${only}`,
      );
    }
    const left = agents.length - MOST_AGENTS;
    if (left > 0) {
      this.#lacks(
        `logs and status of ${left} more agents`,
        `only those of ${MOST_AGENTS} are fetched; choose another with --node`,
      );
    }
    const limiter = new Limiter(AT_ONCE);
    const chosen = agents.slice(0, MOST_AGENTS);
    say(`asking ${chosen.length} agent${chosen.length === 1 ? "" : "s"}`);
    await Promise.all(chosen.map((node) => limiter.run(() => this.#agent(node))));
  }

  async #agent({ agent }: NodeView): Promise<void> {
    if (!("pod" in agent)) return;
    const { namespace, name: pod, restarts } = agent.pod;
    const container: AgentContainer = { namespace, pod, container: "agent" };
    await this.#status(container);
    await this.#log(container, false);
    if (restarts > 0) await this.#log(container, true);
  }

  async #status(container: AgentContainer): Promise<void> {
    const { cleaner, redactor } = this.#options;
    const folder = `agents/${cleaner.name(container.pod)}`;
    await this.#try(`${folder}/status.json`, async (signal) => {
      const { stdout, stderr } = await this.#source.exec(container, {
        command: STATUS_COMMAND,
        most: MOST_STATUS,
        signal,
      });
      const status = parsed(stdout);
      if (status === undefined) {
        throw new ReadError("failed", `the agent gave no status: ${(stderr || stdout).trim()}`);
      }
      if (redactor) learnFromStatus(redactor, status);
      await this.#addJson(`${folder}/status.json`, status);
    });
  }

  async #log(container: AgentContainer, previous: boolean): Promise<void> {
    const { cleaner, sinceSeconds } = this.#options;
    const file = `agents/${cleaner.name(container.pod)}/${previous ? "previous" : "current"}.log`;
    await this.#try(file, async (signal) => {
      const { bytes, cut } = await this.#source.log({
        ...container,
        previous,
        sinceSeconds,
        most: MOST_LOG,
        signal,
      });
      const text = new TextDecoder().decode(bytes);
      // Half a line could be half a secret.
      const whole = cut ? text.slice(text.indexOf("\n") + 1) : text;
      const lacks = cut ? { cut: `only the last ${MOST_LOG / 1024 / 1024} MiB` } : {};
      await this.#add(file, cleaner.text(whole), lacks);
    });
  }

  async #try(what: string, part: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { over } = this.#options;
    const lacks = (why: string) => this.#lacks(what, why);
    if (over.aborted) return lacks("the time was over");
    try {
      await part(over);
    } catch (error) {
      if (over.aborted) return lacks("the time was over");
      if (!(error instanceof ReadError)) throw error;
      lacks(error.message);
    }
  }

  #lacks(what: string, why: string): void {
    const { redactor } = this.#options;
    if (redactor) learnFromText(redactor, why);
    this.#missing.push({ what, why });
  }

  #addJson(path: string, value: unknown): Promise<void> {
    return this.#add(path, this.#options.cleaner.json(value));
  }

  async #add(path: string, text: string, more: Pick<DumpedFile, "cut"> = {}): Promise<void> {
    const content = new TextEncoder().encode(text);
    const file = this.#unused(path);
    this.#files.push({ file, bytes: content.length, ...more });
    await this.#writing.run(() => this.#archive.add(file, content));
  }

  /** The names of two pods can be cut to the same. */
  #unused(path: string): string {
    let unused = path;
    for (let i = 2; this.#paths.has(unused); i++) unused = path.replace(/(\.\w+)$/, `-${i}$1`);
    this.#paths.add(unused);
    return unused;
  }
}

/** Nodes with networks that are missing. */
function brokenNodes({ claims }: ClusterPicture): ReadonlySet<string> {
  const phases = ["failed", "lost", "attaching"];
  const broken = claims.filter(({ state: { phase } }) => phases.includes(phase));
  return new Set(broken.flatMap(({ node }) => node ?? []));
}

/** Agents that are not ready first, then those of broken nodes. */
function urgency({ name, agent }: NodeView, broken: ReadonlySet<string>): number {
  if (agent.state !== "ready") return 0;
  return broken.has(name) ? 1 : 2;
}

/** Undefined for what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
