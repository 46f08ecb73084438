/** network-dra: argv → command. The only place that exits. */

// Loaded when needed: the confined part of `run` needs no command line.
if ("WorkerGlobalScope" in globalThis) {
  (await import("./mod/cmd/agent_worker.ts")).serveWarden(self as never);
} else if (import.meta.main) {
  const { runCommandLine } = await import("./mod/cmd/command_line.ts");
  Deno.exit(await runCommandLine(Deno.args, import.meta.url));
}
