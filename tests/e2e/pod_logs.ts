/** What the containers of some pods wrote, from the files that the kubelet keeps while the pods live. */
const INTERVAL = 100;

export class PodLogs {
  readonly lines: string[] = [];
  readonly #folders: readonly string[];
  readonly #pods: RegExp;
  /** How much of each file has been read, and its last line where that is not whole. */
  readonly #read = new Map<string, { offset: number; rest: string }>();
  readonly #ended = new AbortController();
  readonly #reading: Promise<void>;

  /**
   * @param folders `/var/log/pods` of each node
   * @param pods matches `NAMESPACE_NAME_UID`
   */
  constructor(folders: readonly string[], pods: RegExp) {
    this.#folders = folders;
    this.#pods = pods;
    this.#reading = this.#follow();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#reading;
    await this.#look();
  }

  async #follow(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#look();
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  }

  async #look(): Promise<void> {
    for (const folder of this.#folders) {
      for (const pod of await names(folder)) {
        if (!this.#pods.test(pod)) continue;
        for (const container of await names(`${folder}/${pod}`)) {
          for (const file of (await names(`${folder}/${pod}/${container}`)).sort()) {
            await this.#readOn(`${folder}/${pod}/${container}/${file}`);
          }
        }
      }
    }
  }

  async #readOn(path: string): Promise<void> {
    const was = this.#read.get(path) ?? { offset: 0, rest: "" };
    const bytes = await Deno.readFile(path).catch(() => new Uint8Array());
    if (bytes.length <= was.offset) return;
    const text = was.rest + new TextDecoder().decode(bytes.subarray(was.offset));
    const lines = text.split("\n");
    this.#read.set(path, { offset: bytes.length, rest: lines.pop()! });
    // `TIME STREAM F TEXT`; no line of the agent is so long that it comes in pieces.
    for (const line of lines) this.lines.push(line.split(" ").slice(3).join(" "));
  }
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch {
    return [];
  }
}
