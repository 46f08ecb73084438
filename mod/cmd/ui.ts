import { errorMessage } from "../async/error_message.ts";
import { systemClock } from "../async/clock.ts";
import { printable } from "../async/printable.ts";
import { LiveCluster } from "../ui/live_cluster.ts";
import type { MapSummary } from "../ui/map_picture.ts";
import { PageServer } from "../ui/server.ts";
import { openCluster } from "./cluster_access.ts";
import { UI } from "./commands/ui.ts";
import { readCommandLine } from "./flag_values.ts";
import { onSignals } from "./signals.ts";
import { pageFiles } from "./ui_page.ts";

const HOSTNAME = "127.0.0.1";
const TOKEN_BYTES = 24;

/** `network-dra ui`: serves the page until a signal ends it. Gives the exit code. */
export async function serveUi(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(UI, argv, (name) => Deno.env.get(name));
  const { source, server, close } = openCluster(flags);
  const end = new AbortController();
  const release = onSignals(() => end.abort());
  try {
    const cluster = new LiveCluster(source, {
      server,
      clock: systemClock,
      signal: end.signal,
      ...(flags.driverName !== undefined && { driver: flags.driverName }),
    });
    const token = newToken();
    const page = new PageServer({
      token,
      cluster,
      files: await pageFiles(),
      signal: end.signal,
    });
    const serving = listen(page, { port: flags.port, signal: end.signal });
    console.log(`The map of ${server}: http://${HOSTNAME}:${serving.addr.port}/#token=${token}`);
    console.error("Open the address in a browser. Ctrl+C ends the page.");
    const speaker = new Speaker();
    const unsubscribe = cluster.subscribe(({ summary }) => summary && speaker.say(summary));
    await Promise.all([cluster.run(), serving.finished]);
    unsubscribe();
    return 0;
  } finally {
    end.abort();
    release();
    close();
  }
}

function newToken(): string {
  return crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)).toBase64({ alphabet: "base64url" });
}

function listen(
  page: PageServer,
  { port, signal }: { readonly port: number; readonly signal: AbortSignal },
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve(
      { hostname: HOSTNAME, port, signal, onListen: () => {} },
      (request) => page.handle(request),
    );
  } catch (cause) {
    throw new Error(
      cause instanceof Deno.errors.AddrInUse
        ? `port ${port} of ${HOSTNAME} is in use: choose another one with --port, or leave it out`
        : `cannot listen on port ${port} of ${HOSTNAME}: ${errorMessage(cause)}`,
      { cause },
    );
  }
}

/** Says on the terminal what keeps the page from showing everything, each sentence when it becomes true. */
class Speaker {
  #said: ReadonlySet<string> = new Set();

  say({ unread, away, findings, reading }: MapSummary): void {
    const ofCluster = findings.filter(({ where }) => where === "cluster");
    const sentences = new Set([
      ...unread.map((sentence) => `Not shown: ${sentence}`),
      ...away === undefined ? [] : [`What is shown may be old: ${away}`],
      ...ofCluster.map(({ what, whatToDo }) => [what, whatToDo].filter((part) => part).join(": ")),
    ]);
    for (const sentence of sentences) {
      if (!this.#said.has(sentence)) console.error(printable(sentence));
    }
    if (this.#said.size > 0 && sentences.size === 0 && !reading) {
      console.error("All of the cluster is shown again.");
    }
    this.#said = sentences;
  }
}
