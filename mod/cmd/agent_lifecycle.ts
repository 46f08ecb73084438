import { aborted, unlessAborted } from "../async/aborted.ts";
import { Background } from "../async/background.ts";
import { errorMessage } from "../async/error_message.ts";
import { TimeLimitError, within } from "../async/within.ts";
import { serveSecureMetrics } from "../observe/secure_metrics.ts";
import { describeAddress } from "../observe/serve.ts";
import { serveObserved } from "../observe/server.ts";
import { documentText } from "../status/document_text.ts";
import { serveStatus } from "../status/server.ts";
import { statusSocket } from "../status/socket.ts";
import { runClusterDuties } from "./cluster_duties.ts";
import { type AgentProcess, agentProcess, type AgentProcessOptions } from "./agent_process.ts";
import { runTerm } from "./agent_term.ts";
import type { RunConfig } from "./run_config.ts";

/** The time-out of the kubelet's DRA client. */
const KUBELET_CALL_MS = 45_000;
/** Additional time for each step of the shutdown. */
const STOP_MARGIN_MS = 5_000;

/** The stages of an agent, from start to end. */
type Stage =
  | "waits for the container runtime"
  | "waits for the lead"
  | "makes the sockets for the kubelet"
  | "serves"
  | "stops";

/**
 * Runs the agent until the signal is aborted. It starts NRI, then DRA, and stops them in reverse order.
 * It acts only while it leads.
 *
 * It waits for the container runtime, the lead and the kubelet until the signal is aborted.
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
  const enter = (stage: Stage) => log.debug("entering a stage", { stage });
  log.info("network-dra starts", {
    ...config,
    cniPath: config.cniPath.join(":"),
    listen: config.listen ? describeAddress(config.listen) : "",
    metricsSecure: config.metricsSecure ? describeAddress(config.metricsSecure) : "",
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

/** Starts everything except the sockets for the kubelet. What is started first is stopped last. */
function startAll(agent: AgentProcess, running: AsyncDisposableStack): Background {
  const { config, clock, log, connection, events, activeAgent, dra, needs, loops, observed } =
    agent;
  // Longer than a call of the kubelet or the run of a plugin. Whatever takes longer ends with the
  // process.
  const limitMs = Math.max(KUBELET_CALL_MS, config.cniTimeout) + STOP_MARGIN_MS;
  const stopsBy = (what: string, stop: () => PromiseLike<void>) =>
    running.defer(async () => {
      try {
        await within(Promise.resolve(stop()), { limitMs, what, clock });
      } catch (error) {
        log.error("a part of the agent has not stopped", {
          part: what,
          error: errorMessage(error),
        });
        if (!(error instanceof TimeLimitError)) throw error;
      }
    });
  const start = (what: string, run: (signal: AbortSignal) => Promise<void>) => {
    const loop = new Background(run);
    stopsBy(what, () => loop[Symbol.asyncDispose]());
    return loop;
  };
  running.defer(() => connection.close());
  start("asking for the API server", (signal) => agent.apiAccess.run(signal));
  for (const { what, run } of agent.networkFollowers) start(what, run);
  if (config.networkObjects) {
    start(
      "what one agent of the cluster does for all",
      (signal) => runClusterDuties(config, { connection, clock, log, signal }),
    );
  }
  const { listen, metricsSecure } = config;
  if (listen) {
    start(
      "serving health and metrics",
      (signal) => serveObserved(listen, observed, { log, clock, signal }),
    );
  }
  if (metricsSecure) {
    start(
      "serving metrics by HTTPS",
      (signal) => serveSecureMetrics(metricsSecure, agent.secureMetrics, { log, clock, signal }),
    );
  }
  running.defer(() => agent.traces?.close());
  const socket = statusSocket(config);
  if (socket === undefined) {
    log.warn(
      "`network-dra status` gets no answer: the path of --state-dir is too long for a socket",
    );
  } else {
    const text = () => documentText(agent.status());
    start(
      "answering questions about its status",
      (signal) => serveStatus(socket, { text, log, clock, signal }),
    );
  }
  stopsBy("writing events", () => events.close());
  const nri = start("the connection to the container runtime", (signal) => agent.nri.run(signal));
  loops.watch("NRI", nri.done, {
    says: () => agent.nri.isConnected ? "connected" : "not connected; trying again",
  });
  const election = start("leading", (signal) =>
    agent.election.run((over) => runTerm(agent, over), {
      // With the same socket names for all agents, this would take them from the leader.
      ready: () => config.podUid !== undefined && needs.areMet("NRI", "kubelet"),
      signal,
    }));
  // It leads until no more calls can arrive.
  stopsBy("answering the kubelet", () => dra.stop());
  running.defer(() => activeAgent.close());
  // Parts that stop from here on are not reported as missing.
  start("looking at what the agent needs", (signal) => needs.run(signal));
  return election;
}

/** Starts the agent until the kubelet knows it, and serves until the signal is aborted. */
async function serve(
  { config, dra, loops, progress }: AgentProcess,
  { enter, signal }: { readonly enter: (stage: Stage) => void; readonly signal: AbortSignal },
): Promise<void> {
  enter("waits for the container runtime");
  // A prepared pod must not start before the agent can see its sandbox.
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
