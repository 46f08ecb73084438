/**
 * The channels of `exec` over a WebSocket (v4.channel.k8s.io and v5.channel.k8s.io): the first byte
 * of each message says which, the rest is its content.
 *
 * https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go
 */

/** Those that both sides may choose, the newest first. */
export const EXEC_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"] as const;

/** What a message of the API server says. */
export type ExecMessage =
  | { readonly channel: "stdout" | "stderr"; readonly bytes: Uint8Array }
  /** The program has ended. */
  | { readonly channel: "status"; readonly end: ExecEnd }
  /** Of a channel that nobody asked for. */
  | { readonly channel: "other" };

/** How a program in a container ended. */
export type ExecEnd =
  | { readonly state: "exited"; readonly code: number }
  /** It was never started, or its end is not known; `problem` is the kubelet's or the runtime's. */
  | { readonly state: "failed"; readonly problem: string };

/** Reads a message. */
export function parseExecMessage(message: Uint8Array): ExecMessage {
  const bytes = message.subarray(1);
  switch (message[0]) {
    case 1:
      return { channel: "stdout", bytes };
    case 2:
      return { channel: "stderr", bytes };
    case 3:
      return { channel: "status", end: parseEnd(new TextDecoder().decode(bytes)) };
    default:
      return { channel: "other" };
  }
}

interface Status {
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly causes?: readonly { readonly reason?: string; readonly message?: string }[];
  };
}

/** Reads the Status object at the end. */
function parseEnd(text: string): ExecEnd {
  let status: Status;
  try {
    status = JSON.parse(text);
  } catch {
    return { state: "failed", problem: text.trim() || "it ended without a status" };
  }
  if (status.status === "Success") return { state: "exited", code: 0 };
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (status.reason === "NonZeroExitCode" && code !== undefined && /^\d+$/.test(code)) {
    return { state: "exited", code: Number(code) };
  }
  return { state: "failed", problem: status.message ?? "it ended without a message" };
}
