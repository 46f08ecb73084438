import assert from "node:assert/strict";
import { join } from "node:path";
import { programRunner } from "./launched_program.ts";
import { type RunProgram, runProgram, runToEnd } from "./program.ts";
import { installSessionLauncher, NOT_LAUNCHED } from "./session_launcher.ts";

const never = new AbortController().signal;

const byLauncher: RunProgram = (path, options) =>
  inFolder(async (folder) => {
    const launcher = await installSessionLauncher(folder);
    assert.ok(launcher, "there is no launcher for this machine");
    return await programRunner(launcher)(path, options);
  });

async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a shell script as a plugin would be run. */
async function runScript(
  run: RunProgram,
  script: string,
  { timeout = 10_000, signal = never, stdin = "" } = {},
) {
  return await inFolder(async (folder) => {
    const path = join(folder, "plugin");
    await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const outcome = await run(path, {
      env: { PATH: "/usr/bin:/bin", GIVEN: "yes" },
      stdin: new TextEncoder().encode(stdin),
      timeout,
      signal,
    });
    return { ...outcome, stdout: new TextDecoder().decode(outcome.stdout) };
  });
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

for (
  const [way, run] of [["runProgram()", runProgram], ["programRunner()", byLauncher]] as const
) {
  Deno.test(`${way} gives input, takes output, and keeps the agent's environment to itself`, async () => {
    Deno.env.set("NETWORK_DRA_TEST_SECRET", "token");
    try {
      const outcome = await runScript(run, "cat; env >&2; exit 3", { stdin: "hello" });
      assert.equal(outcome.stdout, "hello");
      assert.equal(outcome.code, 3);
      assert.match(outcome.stderr, /GIVEN=yes/);
      assert.doesNotMatch(outcome.stderr, /token|HOME=/);
    } finally {
      Deno.env.delete("NETWORK_DRA_TEST_SECRET");
    }
  });

  Deno.test(`${way} is not held up by a program that does not read its input`, async () => {
    const { code } = await runScript(run, "exit 0", { stdin: "x".repeat(1_000_000) });
    assert.equal(code, 0);
  });

  Deno.test(`${way} kills a program that hangs, with all that it started`, async () => {
    const outcome = await runScript(run, "sleep 300 & echo $! $$; sleep 300", { timeout: 300 });
    assert.equal(outcome.killed, "it did not end within 300 ms");
    for (const pid of outcome.stdout.trim().split(" ")) await ends(pid);
  });

  Deno.test(`${way} kills a program that ignores SIGTERM`, async () => {
    const outcome = await runScript(run, "trap '' TERM; echo $$; while :; do sleep 1; done", {
      timeout: 300,
    });
    assert.equal(outcome.signal, "SIGKILL");
    await ends(outcome.stdout.trim());
  });

  Deno.test(`${way} ends what a program leaves that dies by a signal`, async () => {
    const outcome = await runScript(run, "sleep 300 & echo $!; kill -KILL $$");
    assert.deepEqual([outcome.signal, outcome.killed], ["SIGKILL", undefined]);
    await ends(outcome.stdout.trim());
  });

  Deno.test(`${way} is not held up by a child that keeps the output open`, async () => {
    const outcome = await runScript(run, "sleep 3 & echo $!; exit 0");
    assert.equal(outcome.code, 0);
    assert.equal(outcome.killed, undefined);
    const pid = outcome.stdout.trim();
    assert.equal(await isAlive(pid), true);
    Deno.kill(Number(pid), "SIGKILL");
  });

  Deno.test(`${way} kills a program that prints without end`, async () => {
    const outcome = await runScript(run, "yes; sleep 300");
    assert.match(outcome.killed ?? "", /printed more than 1048576 bytes/);
  });

  Deno.test(`${way} keeps the end of what a program writes to stderr`, async () => {
    const outcome = await runScript(run, "yes noise | head -n 100000 >&2; echo the end >&2");
    assert.ok(outcome.stderr.length <= 4096);
    assert.match(outcome.stderr, /the end$/);
  });

  Deno.test(`${way} kills when it is cancelled`, async () => {
    const cancelled = new AbortController();
    setTimeout(() => cancelled.abort(), 100);
    const outcome = await runScript(run, "sleep 300", { signal: cancelled.signal });
    assert.equal(outcome.killed, "it was cancelled");
  });

  Deno.test(`${way} waits for a program that is being replaced`, async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "plugin");
      await Deno.copyFile("/bin/true", path);
      await Deno.chmod(path, 0o755);
      const writer = await Deno.open(path, { write: true });
      const options = { env: {}, stdin: new Uint8Array(0), timeout: 10_000, signal: never };
      setTimeout(() => writer.close(), 150);
      assert.equal((await run(path, options)).code, 0);
    });
  });

  Deno.test(`${way} rejects when the program cannot be started`, async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "plugin");
      await Deno.writeTextFile(path, "#!/bin/sh\n", { mode: 0o644 });
      const options = { env: {}, stdin: new Uint8Array(0), timeout: 1000, signal: never };
      await assert.rejects(run(path, options), /ermission denied/);
    });
  });
}

Deno.test("programRunner() gives a program its name, its arguments' end and a session of its own", async () => {
  const script = 'echo "$0 $#"; cut -d " " -f 1,5,6 /proc/$$/stat';
  const { stdout } = await runScript(byLauncher, script);
  const [name, stat] = stdout.trim().split("\n");
  assert.match(name!, /\/plugin 0$/);
  const [pid, group, session] = stat!.split(" ");
  assert.deepEqual([group, session], [pid, pid]);
});

Deno.test("programRunner() does without a launcher that cannot be executed", () =>
  inFolder(async (folder) => {
    const launcher = await installSessionLauncher(folder);
    for (const spoil of [() => Deno.chmod(launcher!, 0o600), () => Deno.remove(launcher!)]) {
      await spoil();
      const { stdout } = await runScript(programRunner(launcher), "echo done");
      assert.equal(stdout, "done\n");
    }
    assert.equal((await runScript(programRunner(undefined), "exit 3")).code, 3);
  }));

Deno.test("programRunner() takes a program's exit code for its own, but for the launcher's", () =>
  inFolder(async (folder) => {
    const count = join(folder, "count");
    const { code } = await runScript(byLauncher, `echo >> ${count}; exit ${NOT_LAUNCHED}`);
    assert.equal(code, NOT_LAUNCHED);
    assert.equal((await Deno.readTextFile(count)).length, 2);
  }));

Deno.test("what a plugin has printed is read although this process had no time for it", async () => {
  const printed = new TextEncoder().encode('{"supportedVersions":["1.0.0"]}');
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
  const busyFor = (ms: number) => {
    for (const until = performance.now() + ms; performance.now() < until;);
  };
  const exited = turn();
  const child = {
    pid: 2 ** 22 + 1,
    kill: () => {},
    stdin: new WritableStream(),
    // The runtime takes turns of its event loop to read what is in the pipe.
    stdout: new ReadableStream({
      type: "bytes",
      pull: async (stream) => {
        await exited;
        for (let turns = 0; turns < 3; turns++) await turn();
        const request = stream.byobRequest!;
        new Uint8Array(request.view!.buffer).set(printed);
        request.respond(printed.length);
        stream.close();
      },
    }),
    stderr: new ReadableStream({ type: "bytes", start: (stream) => stream.close() }),
    status: exited.then(() => {
      setTimeout(() => busyFor(400), 0);
      return { success: true, code: 0, signal: null };
    }),
  } as unknown as Deno.ChildProcess;
  const { stdout } = await runToEnd(child, {
    env: {},
    stdin: new Uint8Array(0),
    timeout: 10_000,
    signal: never,
  });
  assert.deepEqual(stdout, printed);
});
