import { DOCUMENT_VERSION, type StatusDocument } from "../status/document.ts";
import type { ObjectName } from "./objects.ts";
import { type PodExec, ReadError } from "./ports.ts";

/** Where the agent's program is in its image. */
export const AGENT_PROGRAM = "/network-dra";
/** Its container. */
export const AGENT_CONTAINER = "agent";

/** Exit codes of `status` with a document: all is well, something is wrong, no agent answers. */
const TELLING: readonly number[] = [0, 3, 4];

/** What the agent of a node tells. */
export type AgentTold =
  | { readonly state: "told"; readonly document: StatusDocument }
  /** A sentence without a full stop: why not. "forbidden": the user may ask no agent. */
  | { readonly state: "untold"; readonly cause: "forbidden" | "other"; readonly why: string };

/** Asks an agent in its pod for its status, as `kubectl exec POD -- /network-dra status` does. */
export async function askAgent(
  exec: PodExec,
  { namespace, name }: ObjectName,
  signal: AbortSignal,
): Promise<AgentTold> {
  const place = { namespace, pod: name, container: AGENT_CONTAINER };
  try {
    const { code, stdout, stderr } = await exec.exec(
      place,
      [AGENT_PROGRAM, "status", "--output", "json"],
      signal,
    );
    if (TELLING.includes(code)) return documentOf(stdout, place.pod);
    const says = firstLine(stderr) ?? `it ended with code ${code}`;
    return untold(
      /unknown command/.test(says)
        ? `the agent in ${name} is of an earlier release, which tells no status`
        : `${AGENT_PROGRAM} status in the pod ${name} failed: ${says}`,
    );
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    const cause = error.reason === "forbidden" ? "forbidden" : "other";
    return { state: "untold", cause, why: error.message };
  }
}

function documentOf(text: string, pod: string): AgentTold {
  let document: Partial<StatusDocument> | null;
  try {
    document = JSON.parse(text);
  } catch {
    return untold(`what ${AGENT_PROGRAM} status in the pod ${pod} prints is not JSON`);
  }
  const version: unknown = document?.version;
  if (version === DOCUMENT_VERSION) return { state: "told", document: document as StatusDocument };
  return untold(
    `the status of the agent in ${pod} has the version ${JSON.stringify(version)}, and this ` +
      `program reads version ${DOCUMENT_VERSION}: use the program of the agent's own release`,
  );
}

function untold(why: string): AgentTold {
  return { state: "untold", cause: "other", why };
}

function firstLine(text: string): string | undefined {
  return text.split("\n").find((line) => line.trim() !== "");
}
