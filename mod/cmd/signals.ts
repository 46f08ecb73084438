/** Calls back on SIGTERM and SIGINT until released. */
export function onSignals(callback: (name: string) => void): () => void {
  const handlers = signalsOf(Deno.build.os).map((name) => {
    const handler = () => callback(name);
    Deno.addSignalListener(name, handler);
    return () => Deno.removeSignalListener(name, handler);
  });
  return () => handlers.forEach((release) => release());
}

/** Those that end a program. Windows has no SIGTERM, and Deno refuses it there. */
export function signalsOf(os: typeof Deno.build.os): readonly Deno.Signal[] {
  return os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGTERM", "SIGINT"];
}
