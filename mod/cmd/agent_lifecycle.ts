import { aborted, unlessAborted } from "../async/aborted.ts";
import { Background } from "../async/background.ts";
import { errorMessage } from "../async/error_message.ts";
import { TimeLimitError, within } from "../async/within.ts";
import { describeAddress, serveObserved } from "../observe/server.ts";
import { type AgentProcess, agentProcess, type AgentProcessOptions } from "./agent_process.ts";
import { runTerm } from "./agent_term.ts";
import type { RunConfig } from "./run_config.ts";

/** The kubelet gives a call up after this (its DRA client). */
const KUBELET_CALL_MS = 45_000;
/** What else a step of the stop may take. */
const STOP_MARGIN_MS = 5_000;

/** Where an agent is on its way from start to end. */
type Stage =
  | "waits for the container runtime"
  | "waits for the lead"
  | "makes the sockets for the kubelet"
  | "serves"
  | "stops";

/**
 * Runs the agent with all its sides until the signal is aborted: NRI, then DRA; and the other way
 * round at the end. It acts while it leads.
 *
 * A start waits for the container runtime, the lead and the kubelet for as long as the signal lets it.
 *
 * @param config its node was made ready by {@link prepareNode}
 * @throws Error when it cannot start at all (credentials, socket paths), or cannot go on
 */
export async function runAgent(
  config: RunConfig,
  { signal, ...options }: AgentProcessOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const agent = agentProcess(config, options);
  const { log } = agent;
  const enter = (stage: Stage) => log.debug("the agent comes to a new stage", { stage });
  log.info("network-dra starts", {
    ...config,
    cniPath: config.cniPath.join(":"),
    listen: config.listen ? describeAddress(config.listen) : "",
  });
  {
    await using running = new AsyncDisposableStack();
    const election = startAll(agent, running);
    running.defer(() => {
      enter("stops");
      log.info("network-dra stops");
    });
    try {
      await serve(agent, { enter, signal: AbortSignal.any([signal, election.ended]) });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  log.info("network-dra stopped");
}

/** Starts everything but the sockets for the kubelet. What is started first is stopped last. */
function startAll(agent: AgentProcess, running: AsyncDisposableStack): Background {
  const { config, clock, log, connection, events, activeAgent, dra, loops, observed } = agent;
  // Longer than a call of the kubelet, or a plugin that runs: what takes more is left to the end of
  // the process.
  const limitMs = Math.max(KUBELET_CALL_MS, config.cniTimeout) + STOP_MARGIN_MS;
  const stopsBy = (what: string, stop: () => PromiseLike<void>) =>
    running.defer(async () => {
      try {
        await within(Promise.resolve(stop()), { limitMs, what, clock });
      } catch (error) {
        log.error("a part of the agent does not stop", { part: what, error: errorMessage(error) });
        if (!(error instanceof TimeLimitError)) throw error;
      }
    });
  const start = (what: string, run: (signal: AbortSignal) => Promise<void>) => {
    const loop = new Background(run);
    stopsBy(what, () => loop[Symbol.asyncDispose]());
    return loop;
  };
  running.defer(() => connection.close());
  const { listen } = config;
  if (listen) {
    start(
      "serving health and metrics",
      (signal) => serveObserved(listen, observed, { log, clock, signal }),
    );
  }
  stopsBy("writing events", () => events.close());
  const nri = start("the connection to the container runtime", (signal) => agent.nri.run(signal));
  loops.watch("NRI", nri.done);
  const election = start("leading", (signal) =>
    agent.election.run((over) => runTerm(agent, over), {
      // Sockets of one name for all would be taken from the agent that leads.
      ready: () => config.podUid !== undefined && agent.readiness.isReady,
      signal,
    }));
  // It leads until no call can come any more.
  stopsBy("answering the kubelet", () => dra.stop());
  running.defer(() => activeAgent.close());
  running.defer(() => agent.setSide("kubelet", false));
  return election;
}

/** Brings the agent to where the kubelet knows it, and serves until the signal is aborted. */
async function serve(
  { config, dra, loops, progress }: AgentProcess,
  { enter, signal }: { readonly enter: (stage: Stage) => void; readonly signal: AbortSignal },
): Promise<void> {
  enter("waits for the container runtime");
  // A pod that was prepared must not start before its sandbox would be seen.
  await progress.synchronized.wait(signal);
  if (!config.podUid) {
    enter("waits for the lead");
    await progress.led.wait(signal);
  }
  enter("makes the sockets for the kubelet");
  await unlessAborted(dra.start(), signal);
  loops.watch("kubelet", dra.watching);
  progress.listens.set();
  enter("serves");
  await aborted(signal);
  signal.throwIfAborted();
}
