/**
 * A program with the agent's own command line, warden and confinement, in whose worker things are
 * tried instead of an agent run. What came of them is a line of JSON; then it waits for a signal.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { apiAccess } from "../../mod/cmd/api_access.ts";
import { codeFolders, confinementOf } from "../../mod/cmd/confinement.ts";
import { openLog } from "../../mod/cmd/logging.ts";
import { prepareNode } from "../../mod/cmd/prepare_node.ts";
import { onSignals } from "../../mod/cmd/signals.ts";
import { parseRunConfig, type RunConfig } from "../../mod/cmd/run_config.ts";
import { toStderr } from "../../mod/cmd/stderr.ts";
import { thisProcess } from "../../mod/cmd/this_process.ts";
import { type Message, type Request, Warden, WardenClient } from "../../mod/cmd/warden.ts";

/** Its exit codes, by the signal that ended it. */
const EXIT_CODES: Readonly<Record<string, number>> = { SIGTERM: 5, SIGINT: 6 };

/** What is tried in the worker, by name. */
const attempts = (config: RunConfig): Readonly<Record<string, () => unknown>> => ({
  "its records": () => Deno.mkdirSync(join(config.stateDir, "claims")),
  "its variable": () => {
    if (Deno.env.get("NODE_NAME") !== "node-1") throw new Error("NODE_NAME is not set");
  },
  "another variable": () => {
    if (Deno.env.get("SECRET") !== undefined) throw new Error("SECRET is there");
    throw new Deno.errors.NotCapable("it is not there");
  },
  "any file": () => Deno.readTextFileSync("/etc/passwd"),
  "the folder of its code": () => Deno.statSync(dirname(fileURLToPath(import.meta.url))),
  "what launches plugins": () => Deno.writeTextFileSync(join(config.stateDir, "launcher"), ""),
  "a program": () => new Deno.Command(join(config.cniPath[0]!, "cat")).outputSync(),
  "a worker with more permissions": () =>
    new Worker(
      "data:text/javascript,",
      { type: "module", deno: { permissions: { run: true } } } as WorkerOptions,
    ),
  "another host": () => Deno.connect({ hostname: "198.51.100.1", port: 443 }),
  "code from elsewhere": () => {
    const url = "http://198.51.100.1/x.js";
    return import(url);
  },
  "more permissions": async () => {
    const { state } = await Deno.permissions.request({ name: "run" });
    if (state !== "granted") throw new Deno.errors.NotCapable(state);
  },
});

async function outcomeOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
    return "allowed";
  } catch (error) {
    const { message } = error as Error;
    const denied = error instanceof Deno.errors.NotCapable || /^Requires .* access/.test(message);
    return denied ? "denied" : message;
  }
}

function serve(
  self: {
    onmessage: ((event: MessageEvent) => void) | null;
    postMessage(request: Request): void;
  },
): void {
  const warden = new WardenClient((request) => self.postMessage(request));
  const signal = new AbortController().signal;
  const plugin = async (path: string) => {
    const env = { CNI_COMMAND: "VERSION" };
    const stdin = new TextEncoder().encode("said to the plugin");
    const { code, stdout } = await warden.run(path, { env, stdin, timeout: 5000, signal });
    return `${code} ${new TextDecoder().decode(stdout)}`;
  };
  self.onmessage = async ({ data }) => {
    const message = data as Message;
    if (message.kind === "signal") {
      self.postMessage({ kind: "exit", code: EXIT_CODES[message.name] ?? 1 });
    } else if (message.kind !== "start") warden.take(message);
    else {
      const { config } = message;
      const found: Record<string, string> = {};
      for (const [name, attempt] of Object.entries(attempts(config))) {
        found[name] = await outcomeOf(attempt);
      }
      found["a plugin, by the warden"] = await plugin(join(config.cniPath[0]!, "cat"));
      found["another program, by the warden"] = await plugin("/network-dra")
        .catch((error) => error.message);
      console.log(JSON.stringify(found));
    }
  };
  self.postMessage({ kind: "here" });
}

/** As `network-dra run` does it. */
async function guard(): Promise<number> {
  const config = parseRunConfig(Deno.args.slice(1), thisProcess);
  const log = openLog({ level: config.logLevel, format: config.logFormat, write: toStderr });
  const { run, interfaces } = await prepareNode(config, log);
  const code = import.meta.url;
  const access = apiAccess(config.kubeconfig, thisProcess);
  const { net, ...others } = confinementOf(config, { access, code: codeFolders(code) });
  // Permissions for single sockets came later than the Deno that it is compiled with.
  const confinement = { ...others, net: net.filter((each) => !each.startsWith("unix:")) };
  const warden = new Warden(config, { run, interfaces, code, confinement });
  onSignals((name) => warden.signal(name));
  return await warden.ended;
}

if ("WorkerGlobalScope" in globalThis) serve(self as never);
else Deno.exit(await guard());
