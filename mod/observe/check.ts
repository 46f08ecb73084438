/** One thing that must be so, and whether it is. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly says: string;
}

/** One line a check, as Kubernetes' own components answer; 503 when one is not so. */
export function checksResponse(checks: readonly Check[]): Response {
  const lines = checks.map(({ name, ok, says }) => `[${ok ? "+" : "-"}] ${name}: ${says}\n`);
  const status = checks.every(({ ok }) => ok) ? 200 : 503;
  return new Response(lines.join(""), { status });
}
