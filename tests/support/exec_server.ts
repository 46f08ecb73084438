/** What a made-up API server does with an `exec`. */
export interface ExecScript {
  readonly stdout?: string;
  readonly stderr?: string;
  /** The Status object at the end; without it, the connection ends without one. */
  readonly status?: unknown;
  /** Never ends by itself. */
  readonly hangs?: boolean;
}

export const EXITED_0 = { status: "Success" };

/** The Status object of a program that ended with a code. */
export function exitedWith(code: number): unknown {
  return {
    status: "Failure",
    reason: "NonZeroExitCode",
    message: `command terminated with exit code ${code}`,
    details: { causes: [{ reason: "ExitCode", message: `${code}` }] },
  };
}

/** Answers an `exec` as the API server does: by a WebSocket, in messages of one byte and more. */
export function answerExec(request: Request, script: ExecScript): Response {
  if (request.headers.get("Upgrade") !== "websocket") {
    const message = "unable to upgrade: you must specify at least 1 of stdin, stdout, stderr";
    return Response.json({ message }, { status: 400 });
  }
  const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "v5.channel.k8s.io" });
  const send = (channel: number, text: string) =>
    socket.send(new Uint8Array([channel, ...new TextEncoder().encode(text)]));
  socket.onopen = () => {
    for (const [channel, text] of [[1, script.stdout], [2, script.stderr]] as const) {
      send(channel, "");
      for (const part of (text ?? "").match(/[^]{1,1000}/gu) ?? []) send(channel, part);
    }
    if (script.hangs) return;
    if (script.status !== undefined) send(3, JSON.stringify(script.status));
    socket.close();
  };
  return response;
}
