/** How long a program may take to print what is awaited, or to end. */
const PRINT_TIMEOUT_MS = 30_000;

/** A program in a separate terminal, by `script` of util-linux: it reads keys, as from a person. */
export class Terminal implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(
    command: string,
    { cwd, env }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
  ) {
    this.#child = new Deno.Command("script", {
      args: ["--quiet", "--flush", "--command", command, "/dev/null"],
      cwd,
      env: { ...env, TERM: "dumb" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#keys = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Types keys, and waits until a text is printed. @throws Error with what was printed instead */
  async type(keys: string, { until }: { readonly until: string }): Promise<void> {
    let printed = "";
    await this.#keys.write(new TextEncoder().encode(keys));
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PRINT_TIMEOUT_MS);
    try {
      while (!printed.includes(until)) {
        const { value, done } = await this.#reader.read();
        if (done) {
          throw new Error(
            `${JSON.stringify(keys)}: ${until} was not printed, but ${JSON.stringify(printed)}`,
          );
        }
        printed += value;
      }
    } finally {
      clearTimeout(late);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PRINT_TIMEOUT_MS);
    // The end of the keys ends the program, as a terminal does that is closed.
    await this.#keys.close().catch(() => {});
    await this.#child.status;
    clearTimeout(late);
    await this.#reader.cancel();
  }
}
