/** A headless browser, driven by its DevTools protocol: Debian's Chromium, unpacked into the cache. */
import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import { errorMessage } from "../../mod/async/error_message.ts";

/** What the browser needs to start. */
export interface Chromium {
  readonly program: string;
  /** Where its libraries are. */
  readonly libraries: readonly string[];
  readonly fonts: string;
}

export async function fetchChromium(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<Chromium | { readonly missing: string }> {
  try {
    const cache = cacheFolder();
    const whole = { cache, withDependencies: true, progress };
    const root = await fetchDebianPackage("chromium-headless-shell", whole);
    const fonts = await fetchDebianPackage("fonts-dejavu-core", { cache, progress });
    const libraries = [`${Deno.build.arch}-linux-gnu`, `${Deno.build.arch}-linux-gnu/pulseaudio`]
      .flatMap((folder) => [join(root, "usr/lib", folder), join(root, "lib", folder)]);
    const program = join(root, "usr/lib/chromium/chromium-headless-shell");
    return { program, libraries, fonts: join(fonts, "usr/share/fonts") };
  } catch (error) {
    return { missing: errorMessage(error) };
  }
}

/** How long the browser may take for one thing, on a machine that is busy. */
const LIMIT_MS = 120_000;
const SIZE = { width: 1280, height: 800 };

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** One page in its own browser. */
export class Browser implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  /** URLs that the page asked for. */
  readonly requests: string[] = [];
  #next = 1;
  #session: string | undefined;

  private constructor(child: Deno.ChildProcess, folder: string, socket: WebSocket) {
    this.#child = child;
    this.#folder = folder;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of this.#pending.values()) reject(new Error("the browser has ended"));
    };
  }

  static async start({ program, libraries, fonts }: Chromium): Promise<Browser> {
    const folder = await Deno.makeTempDir();
    const config = join(folder, "fonts.conf");
    await Deno.writeTextFile(
      config,
      `<fontconfig><dir>${fonts}</dir><cachedir>${folder}/fonts</cachedir></fontconfig>`,
    );
    const child = new Deno.Command(program, {
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--remote-debugging-port=0",
        `--user-data-dir=${join(folder, "profile")}`,
        `--window-size=${SIZE.width},${SIZE.height}`,
        "about:blank",
      ],
      env: { LD_LIBRARY_PATH: libraries.join(":"), FONTCONFIG_FILE: config, HOME: folder },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    try {
      const socket = new WebSocket(await within(address(child.stderr), "start"));
      const browser = new Browser(child, folder, socket);
      await within(
        new Promise<void>((resolve, reject) => {
          socket.onopen = () => resolve();
          socket.onerror = () => reject(new Error("the browser's socket cannot be opened"));
        }),
        "open its socket",
      );
      await browser.#open();
      return browser;
    } catch (error) {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  async #open(): Promise<void> {
    const { targetId } = await this.#send("Target.createTarget", { url: "about:blank" });
    const attached = await this.#send("Target.attachToTarget", { targetId, flatten: true });
    this.#session = attached.sessionId as string;
    await this.#send("Page.enable");
    await this.#send("Network.enable");
  }

  async goto(url: string): Promise<void> {
    const { errorText } = await this.#send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await this.until(`document.readyState === "complete"`);
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", options);
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { readonly value?: unknown }).value;
  }

  /** Waits until an expression of the page is true; gives its value. */
  async until(expression: string): Promise<unknown> {
    const end = Date.now() + LIMIT_MS;
    while (Date.now() < end) {
      const value = await this.evaluate(expression).catch(() => undefined);
      if (value) return value;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${expression} is not true after ${LIMIT_MS / 1000} s`);
  }

  /** Types into what has the focus. */
  async type(text: string): Promise<void> {
    await this.#send("Input.insertText", { text });
  }

  /** @param scheme what the page is told that the user prefers */
  async prefer(scheme: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.#send("Emulation.setEmulatedMedia", { features });
  }

  /** A PNG of what is in the window. */
  async screenshot(): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.#send("Page.captureScreenshot", { format: "png" });
    return Uint8Array.from(atob(data as string), (char) => char.charCodeAt(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.onclose = null;
    this.#socket.close();
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }

  #send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const answer = Promise.withResolvers<Record<string, unknown>>();
    this.#pending.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId: this.#session }));
    return within(answer.promise, method);
  }

  #take(message: Answer & { readonly method?: string; readonly params?: Record<string, unknown> }) {
    if (message.method === "Network.requestWillBeSent") {
      this.requests.push((message.params!.request as { readonly url: string }).url);
    }
    const answer = this.#pending.get(message.id ?? 0);
    this.#pending.delete(message.id ?? 0);
    if (message.error) answer?.reject(new Error(message.error.message));
    else answer?.resolve(message.result ?? {});
  }
}

/** Where the browser listens, which it says on stderr; the rest of stderr is read and dropped. */
async function address(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the browser has ended: ${said.trim()}`);
    said += value;
    const [, url] = said.match(/DevTools listening on (ws:\S+)/) ?? [];
    if (url === undefined) continue;
    void (async () => {
      while (!(await reader.read()).done);
    })().catch(() => {});
    return url;
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`the browser took longer than ${LIMIT_MS / 1000} s: ${what}`);
    timer = setTimeout(() => reject(error), LIMIT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
