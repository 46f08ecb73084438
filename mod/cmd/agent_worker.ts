import { runAgent } from "./agent_lifecycle.ts";
import { openLog } from "./logging.ts";
import { type Message, type Request, WardenClient } from "./warden.ts";
import { toStderr } from "./stderr.ts";
import { errorMessage } from "../async/error_message.ts";

/** The agent within its confinement: waits for its settings, and runs until it is told to end. */
export function serveWarden(
  self: {
    onmessage: ((event: MessageEvent) => void) | null;
    postMessage(message: Request): void;
  },
): void {
  const warden = new WardenClient((request) => self.postMessage(request));
  const end = new AbortController();
  let log: ReturnType<typeof openLog> | undefined;
  self.onmessage = async ({ data }) => {
    const message = data as Message;
    if (message.kind === "signal") {
      log?.info(`got ${message.name}`);
      end.abort(new Error(message.name));
    } else if (message.kind === "start") {
      const { config, settings } = message;
      log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
      let code = 0;
      try {
        const { run, read, interfaces } = warden;
        const { signal } = end;
        await runAgent(config, { settings, log, signal, run, read, interfaces });
      } catch (error) {
        log.error("network-dra cannot run", {
          error: errorMessage(error),
        });
        code = 1;
      }
      self.postMessage({ kind: "exit", code });
    } else {
      warden.take(message);
    }
  };
  self.postMessage({ kind: "here" });
}
