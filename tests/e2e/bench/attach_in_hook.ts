/**
 * The agent as other drivers do it, for comparison in the benchmark only: RunPodSandbox answers when
 * the pod's networks are attached, and the container runtime has nothing else happen on the node
 * meanwhile.
 */
import { ActiveAgent } from "../../../mod/agent/handover/active_agent.ts";
import { serveWarden } from "../../../mod/cmd/agent_worker.ts";
import { run } from "../../../mod/cmd/run.ts";

/** The runtime waits for 2 s; a little before that it is told to go on, as it would by itself. */
const LIMIT = 1_900;

const begin = ActiveAgent.prototype.runPodSandbox;

ActiveAgent.prototype.runPodSandbox = async function (sandbox) {
  begin.call(this, sandbox);
  const options = { cdiDevices: [], signal: AbortSignal.timeout(LIMIT) };
  // If a network is missing by then, CreateContainer gives the reason.
  await this.agent?.gate(sandbox, options).catch(() => {});
};

if ("WorkerGlobalScope" in globalThis) {
  serveWarden(self as never);
} else {
  const [, ...flags] = Deno.args;
  Deno.exit(await run(flags, import.meta.url));
}
