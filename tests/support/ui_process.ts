/** `network-dra ui` as a process of its own, from the bundle and with the executable's permissions. */
import { join } from "node:path";
import { bundleArguments } from "./agent_process.ts";

/** How long it may take to say its address, in milliseconds. */
const START_LIMIT_MS = 60_000;

/** The command while it runs. */
export class UiProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #read: Promise<unknown>;
  readonly #address = Promise.withResolvers<string>();
  /** What it has printed, by now. */
  stdout = "";
  stderr = "";

  private constructor(child: Deno.ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    this.#read = Promise.all([
      this.#collect(child.stdout, (piece) => {
        this.stdout += piece;
        const [address] = this.stdout.match(/http:\/\/127\.0\.0\.1:\d+\/#token=\S+(?=\n)/) ?? [];
        if (address) this.#address.resolve(address);
      }),
      this.#collect(child.stderr, (piece) => this.stderr += piece),
    ]);
  }

  /** @param kubeconfig its text */
  static async start(kubeconfig: string, ...flags: readonly string[]): Promise<UiProcess> {
    const folder = await Deno.makeTempDir();
    const path = join(folder, "kubeconfig");
    await Deno.writeTextFile(path, kubeconfig);
    const args = [...bundleArguments().slice(0, -1), "ui", "--kubeconfig", path, ...flags];
    const child = new Deno.Command(Deno.execPath(), {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new UiProcess(child, folder);
  }

  /** The page's address, with the token. */
  async address(): Promise<string> {
    const late = AbortSignal.timeout(START_LIMIT_MS);
    const reject = () => this.#address.reject(new Error(`no address: ${this.stderr}`));
    late.addEventListener("abort", reject);
    void this.done().then(reject);
    return await this.#address.promise;
  }

  /** Resolves when it has ended, with its exit code. */
  async done(): Promise<number> {
    await this.#read;
    return (await this.#child.status).code;
  }

  /** Waits until it has said something on standard error. */
  async says(text: RegExp): Promise<void> {
    const end = Date.now() + START_LIMIT_MS;
    while (!text.test(this.stderr)) {
      if (Date.now() > end) throw new Error(`it does not say ${text}: ${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** As Ctrl+C does. */
  interrupt(): void {
    this.#child.kill("SIGINT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.done();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #collect(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    take: (piece: string) => void,
  ): Promise<void> {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) take(piece);
  }
}
