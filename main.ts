/** network-dra: argv → command. The only place that exits. */
import { help, VERSION } from "./mod/cmd/help.ts";
import { UsageError } from "./mod/cmd/usage_error.ts";
import { errorMessage } from "./mod/async/error_message.ts";

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

async function main([command, ...argv]: readonly string[]): Promise<number> {
  switch (command) {
    // Loaded when needed: each brings libraries that the other does not use.
    case "run":
      return await (await import("./mod/cmd/run.ts")).run(argv, import.meta.url);
    case "try":
      return await (await import("./mod/cmd/try.ts")).tryFiles(argv);
    case "lint":
      return await (await import("./mod/cmd/lint.ts")).lintFiles(argv);
    case "forget":
      return await (await import("./mod/cmd/forget.ts")).forget(argv);
    case "install-plugins":
      return await (await import("./mod/cmd/install_plugins.ts")).installPluginsCommand(argv);
    case "ready":
      return await (await import("./mod/cmd/ready.ts")).ready(argv);
    case "version":
    case "--version":
      console.log(VERSION);
      return 0;
    case "help":
    case "--help":
    case "-h":
      console.log(help());
      return 0;
    default:
      throw new UsageError(
        command === undefined
          ? "no command was given: run, try, lint, forget, install-plugins, ready, version or help"
          : `${
            JSON.stringify(command)
          } is no command; there are run, try, lint, forget, install-plugins, ready, version and help`,
      );
  }
}

if ("WorkerGlobalScope" in globalThis) {
  // The confined part of `run`.
  (await import("./mod/cmd/agent_worker.ts")).serveWarden(self as never);
} else if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(`network-dra: ${errorMessage(error)}`);
    Deno.exit(usage ? EXIT_USAGE : EXIT_FAILURE);
  }
}
