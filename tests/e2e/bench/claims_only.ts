/**
 * An agent that answers for claims and attaches nothing, for comparison in the benchmark only: what
 * Kubernetes itself does for a pod with a claim, whatever its driver makes of it.
 */
import { ActiveAgent } from "../../../mod/agent/handover/active_agent.ts";
import { serveWarden } from "../../../mod/cmd/agent_worker.ts";
import { run } from "../../../mod/cmd/run.ts";

const prepare = ActiveAgent.prototype.prepare;

ActiveAgent.prototype.prepare = async function (refs, signal) {
  const answers = await prepare.call(this, refs, signal);
  for (const answer of answers.values()) {
    if (answer.error !== undefined) continue;
    // No CDI file will come for containers to wait for.
    for (const device of answer.devices) device.cdiDeviceIds.splice(0);
  }
  return answers;
};
ActiveAgent.prototype.runPodSandbox = () => {};
ActiveAgent.prototype.createContainer = () => Promise.resolve();

if ("WorkerGlobalScope" in globalThis) {
  serveWarden(self as never);
} else {
  const [, ...flags] = Deno.args;
  Deno.exit(await run(flags, import.meta.url));
}
