import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "./program.ts";

const never = new AbortController().signal;

/** Runs a shell script as a plugin would be run. */
async function runScript(
  script: string,
  { timeout = 10_000, signal = never, stdin = "" } = {},
) {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "plugin");
    await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const outcome = await runProgram(path, {
      env: { PATH: "/usr/bin:/bin", GIVEN: "yes" },
      stdin: new TextEncoder().encode(stdin),
      timeout,
      signal,
    });
    return { ...outcome, stdout: new TextDecoder().decode(outcome.stdout) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function isAlive(pid: string): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return stat !== "" && !/\) Z /.test(stat);
}

async function ends(pid: string): Promise<void> {
  for (let i = 0; i < 200 && await isAlive(pid); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(await isAlive(pid), false, `process ${pid} still runs`);
}

Deno.test("runProgram() gives input, takes output, and keeps the agent's environment to itself", async () => {
  Deno.env.set("NETWORK_DRA_TEST_SECRET", "token");
  try {
    const outcome = await runScript("cat; env >&2; exit 3", { stdin: "hello" });
    assert.equal(outcome.stdout, "hello");
    assert.equal(outcome.code, 3);
    assert.match(outcome.stderr, /GIVEN=yes/);
    assert.doesNotMatch(outcome.stderr, /token|HOME=/);
  } finally {
    Deno.env.delete("NETWORK_DRA_TEST_SECRET");
  }
});

Deno.test("runProgram() is not held up by a program that does not read its input", async () => {
  const { code } = await runScript("exit 0", { stdin: "x".repeat(1_000_000) });
  assert.equal(code, 0);
});

Deno.test("runProgram() kills a program that hangs, with all that it started", async () => {
  const outcome = await runScript("sleep 300 & echo $! $$; sleep 300", { timeout: 300 });
  assert.equal(outcome.killed, "it did not end within 300 ms");
  for (const pid of outcome.stdout.trim().split(" ")) await ends(pid);
});

Deno.test("runProgram() kills a program that ignores SIGTERM", async () => {
  const outcome = await runScript("trap '' TERM; echo $$; while :; do sleep 1; done", {
    timeout: 300,
  });
  assert.equal(outcome.signal, "SIGKILL");
  await ends(outcome.stdout.trim());
});

Deno.test("runProgram() is not held up by a child that keeps the output open", async () => {
  const outcome = await runScript("sleep 3 & echo $!; exit 0");
  assert.equal(outcome.code, 0);
  assert.equal(outcome.killed, undefined);
  const pid = outcome.stdout.trim();
  assert.equal(await isAlive(pid), true);
  Deno.kill(Number(pid), "SIGKILL");
});

Deno.test("runProgram() kills a program that prints without end", async () => {
  const outcome = await runScript("yes; sleep 300");
  assert.match(outcome.killed ?? "", /printed more than 1048576 bytes/);
});

Deno.test("runProgram() keeps the end of what a program writes to stderr", async () => {
  const outcome = await runScript("yes noise | head -n 100000 >&2; echo the end >&2");
  assert.ok(outcome.stderr.length <= 4096);
  assert.match(outcome.stderr, /the end$/);
});

Deno.test("runProgram() kills when it is cancelled", async () => {
  const cancelled = new AbortController();
  setTimeout(() => cancelled.abort(), 100);
  const outcome = await runScript("sleep 300", { signal: cancelled.signal });
  assert.equal(outcome.killed, "it was cancelled");
});

Deno.test("runProgram() waits for a program that is being replaced", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "plugin");
  await Deno.copyFile("/bin/true", path);
  await Deno.chmod(path, 0o755);
  const writer = await Deno.open(path, { write: true });
  try {
    const options = { env: {}, stdin: new Uint8Array(0), timeout: 10_000, signal: never };
    setTimeout(() => writer.close(), 150);
    assert.equal((await runProgram(path, options)).code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("runProgram() rejects when the program cannot be started", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "plugin");
  await Deno.writeTextFile(path, "#!/bin/sh\n", { mode: 0o644 });
  try {
    const options = { env: {}, stdin: new Uint8Array(0), timeout: 1000, signal: never };
    await assert.rejects(runProgram(path, options), /ermission denied/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
