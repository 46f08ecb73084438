import { requestForget } from "../requests/forget_requests.ts";
import { systemClock } from "../async/clock.ts";
import { FORGET } from "./commands/forget.ts";
import { readCommandLine } from "./flag_values.ts";
import { assertFolder } from "./given_file.ts";
import { UsageError } from "./usage_error.ts";
import { show } from "../claim/field.ts";

/** The agent waits 40 s for running operations. */
const ANSWER_TIMEOUT_MS = 60_000;
/** After this time without an answer, the user is told to wait. */
const PATIENCE_MS = 1_000;

/** `network-dra forget`: asks this node's agent to forget a claim. Gives the exit code. */
export async function forget(argv: readonly string[]): Promise<number> {
  const { claim, stateDir } = parseForgetOptions(argv, (name) => Deno.env.get(name));
  // Otherwise the request would wait for an agent that keeps its state elsewhere.
  assertFolder(stateDir, { at: "--state-dir" });
  const waiting = setTimeout(() => {
    console.error(
      `waiting for this node's agent to forget claim ${claim} for at most ` +
        `${ANSWER_TIMEOUT_MS / 1000} s; Ctrl+C ends the wait but does not withdraw the request`,
    );
  }, PATIENCE_MS);
  const answer = await requestForget(stateDir, {
    claim,
    clock: systemClock,
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  }).finally(() => clearTimeout(waiting));
  if (answer?.done) {
    console.log(answer.message);
    return 0;
  }
  throw new Error(
    answer?.message ??
      `no agent that keeps its state in ${stateDir} has answered within ` +
        `${
          ANSWER_TIMEOUT_MS / 1000
        } s; the request is in ${stateDir}/requests, and the next agent ` +
        "that starts carries it out",
  );
}

/** @throws UsageError */
export function parseForgetOptions(
  argv: readonly string[],
  env: (name: string) => string | undefined,
): { readonly claim: string; readonly stateDir: string } {
  const { flags, args } = readCommandLine(FORGET, argv, env);
  return { claim: validClaim(args[0]!), stateDir: flags.stateDir };
}

const UID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
/** Kubernetes' names: a namespace's is a DNS label, a claim's is a DNS subdomain. */
const NAMESPACE = new RegExp(`^(?=.{1,63}$)${LABEL}$`);
const NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(\\.${LABEL})*$`);

/** @throws UsageError if no claim can have that name */
function validClaim(claim: string): string {
  const [namespace = "", name = "", ...more] = claim.split("/");
  if (UID.test(claim)) return claim;
  if (more.length === 0 && NAMESPACE.test(namespace) && NAME.test(name)) return claim;
  throw new UsageError(
    `CLAIM: ${show(claim)} is not valid; must be NAMESPACE/NAME, such as default/lan, or a ` +
      "claim's UID, such as 4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55",
  );
}
