import { flagValue } from "./flag_value.ts";
import { parseArgs } from "node:util";
import { requestForget } from "../requests/forget_requests.ts";
import { systemClock } from "../async/clock.ts";
import * as take from "./settings.ts";
import { UsageError } from "./usage_error.ts";

const STATE_DIR = { env: "NETWORK_DRA_STATE_DIR", fallback: "/var/lib/network-dra" };
/** The agent waits 40 s for operations that run. */
const ANSWER_TIMEOUT_MS = 60_000;

/** `network-dra forget`: asks this node's agent to let a claim go. Gives the exit code. */
export async function forget(argv: readonly string[]): Promise<number> {
  const { claim, stateDir } = parseForgetOptions(argv, (name) => Deno.env.get(name));
  const answer = await requestForget(stateDir, {
    claim,
    clock: systemClock,
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  if (answer?.done) {
    console.log(answer.message);
    return 0;
  }
  throw new Error(
    answer?.message ??
      `no agent that keeps its state in ${stateDir} has answered; the request stands in ` +
        `${stateDir}/requests and is carried out when one runs`,
  );
}

/** @throws UsageError */
export function parseForgetOptions(
  argv: readonly string[],
  env: (name: string) => string | undefined,
): { readonly claim: string; readonly stateDir: string } {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { "state-dir": { type: "string" } },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0]!);
  }
  const [claim, ...more] = parsed.positionals;
  if (!claim || more.length > 0) {
    throw new UsageError("forget: name one claim, as NAMESPACE/NAME or by its UID");
  }
  const text = parsed.values["state-dir"] ?? env(STATE_DIR.env) ?? STATE_DIR.fallback;
  return { claim, stateDir: flagValue("--state-dir", text, take.absolutePath) };
}
