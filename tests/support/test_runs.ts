/** Runs `deno test` and counts what came of it. */
const ROOT = new URL("../..", import.meta.url).pathname;

export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs it and counts from its report; a run that broke off counts as a failure. */
export async function denoTest(paths: readonly string[], options: {
  readonly report: string;
  readonly flags?: readonly string[];
  /** Without one, whoever started this process has a limit. */
  readonly limitMinutes?: number;
}): Promise<Count> {
  const flags = [
    "--allow-all",
    "--unstable-worker-options",
    "--no-check",
    "--quiet",
    ...options.flags ?? [],
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", ...flags, `--junit-path=${options.report}`, ...paths],
    cwd: ROOT,
    stdin: "null",
  }).spawn();
  const success = await succeedsWithin(child, options.limitMinutes ?? Infinity);
  return await count(options.report, success);
}

/** Waits until a program ends; kills it at its limit, says so, and counts that as no success. */
export async function succeedsWithin(
  child: Deno.ChildProcess,
  limitMinutes: number,
): Promise<boolean> {
  if (limitMinutes === Infinity) return (await child.status).success;
  const timer = setTimeout(() => {
    console.log(`killed: it did not end within ${limitMinutes} minutes`);
    child.kill("SIGKILL");
  }, limitMinutes * 60_000);
  try {
    return (await child.status).success;
  } finally {
    clearTimeout(timer);
  }
}

export async function count(report: string, success: boolean): Promise<Count> {
  const xml = await Deno.readTextFile(report).catch(() => "");
  const suites = xml.match(/<testsuites[^>]*>/)?.[0] ?? "";
  const number = (name: string) => Number(suites.match(new RegExp(` ${name}="(\\d+)"`))?.[1] ?? 0);
  const skipped = (xml.match(/<skipped/g) ?? []).length;
  const failed = number("failures") + number("errors");
  const passed = number("tests") - failed - skipped;
  // A crash, a leak or a file that does not load: no test may have failed, but the run did.
  return { passed, failed: success ? failed : Math.max(failed, 1), skipped };
}

/** The tests of a file that cannot run here, as far as they can be counted without running them. */
export async function countTests(files: readonly string[]): Promise<number> {
  let tests = 0;
  for (const file of files) {
    tests += ((await Deno.readTextFile(file)).match(/\bDeno\.test(\.\w+)?\(/g) ?? []).length;
  }
  return tests;
}

/** The line that closes a run. */
export function shown({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export function sum(counts: readonly Count[]): Count {
  const total = (key: keyof Count) => counts.reduce((all, each) => all + each[key], 0);
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped") };
}
