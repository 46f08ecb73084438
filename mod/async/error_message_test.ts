import assert from "node:assert/strict";
import { openSync, statfsSync } from "node:fs";
import { errorForUsers, errorMessage } from "./error_message.ts";

async function messageOf(act: () => unknown): Promise<string> {
  try {
    await act();
  } catch (error) {
    return errorMessage(error);
  }
  return assert.fail("it succeeded");
}

Deno.test("errorMessage() says what the kernel refuses in words for users", async (t) => {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/file`;
  await Deno.writeTextFile(file, "");
  const none = "no such file or directory";
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const cases: Record<string, [act: () => unknown, message: string]> = {
    "a file": [() => Deno.readTextFile("/nope"), `cannot read /nope: ${none}`],
    "a folder": [() => [...Deno.readDirSync("/nope")], `cannot list /nope: ${none}`],
    "its entry": [() => Deno.lstatSync("/nope"), `cannot look at /nope: ${none}`],
    "a folder to make": [
      () => Deno.mkdirSync(`${file}/x`, { recursive: true }),
      `cannot create the folder ${file}/x: not a directory`,
    ],
    "a file to write": [() => Deno.writeTextFile("/nope/x", ""), `cannot write /nope/x: ${none}`],
    "a rename": [() => Deno.renameSync("/nope", "/x"), `cannot rename /nope to /x: ${none}`],
    "a link": [
      () => Deno.symlinkSync("/x", file),
      `cannot create the link /x to ${file}: file exists`,
    ],
    "by Node's functions": [() => openSync("/nope", "r"), `cannot open /nope: ${none}`],
    "a file system": [() => statfsSync("/nope"), `cannot look at /nope: ${none}`],
    "a program": [() => new Deno.Command("/nope").outputSync(), `cannot run /nope: ${none}`],
    "a socket": [() => Deno.connect({ transport: "unix", path: "/nope" }), none],
    "a port": [() => Deno.listen({ hostname: "127.0.0.1", port }), "address already in use"],
  };
  try {
    for (const [what, [act, message]] of Object.entries(cases)) {
      await t.step(what, async () => assert.equal(await messageOf(act), message));
    }
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("errorMessage() says of a request only why it failed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}/`;
  const signal = AbortSignal.timeout(50);
  assert.equal(await messageOf(() => fetch(url, { signal })), "timed out");
  listener.close();
  assert.equal(await messageOf(() => fetch(url)), "connection refused");
});

Deno.test("errorMessage() names the settings where Deno would name its flags", () => {
  const denied = (message: string) => errorMessage(new Deno.errors.NotCapable(message));
  const message = denied(
    'Requires read access to "/data/netns/a", run again with the --allow-read flag',
  );
  assert.match(
    message,
    /^the agent is not allowed to read \/data\/netns\/a, because no setting names it: /,
  );
  assert.match(message, /--netns-dir, --state-dir/);
  assert.match(
    denied('Requires net access to "10.0.0.1:6443", run again with the --allow-net flag'),
    /is not allowed to connect to 10\.0\.0\.1:6443, .* set --kubeconfig/,
  );
  for (
    const other of [
      'Requires run access to "/bin/sh", run again with the --allow-run flag',
      "Requires env access, run again with the --allow-env flag",
      "it is something new",
    ]
  ) {
    assert.match(
      denied(other),
      /^the agent is not allowed to use .*: report this as a bug in network-dra$/,
    );
  }
});

Deno.test("errorMessage() leaves the messages of others as they are", () => {
  for (
    const message of [
      'plugin type="x" failed (add): open /run/x: no such file or directory',
      "GET /x: 404: not found (os error)",
      "",
    ]
  ) assert.equal(errorMessage(new Error(message)), message);
  assert.equal(errorMessage("a text"), "a text");
  assert.equal(errorMessage(undefined), "undefined");
});

Deno.test("errorForUsers() keeps an error whose message is for users, and the cause of another", () => {
  const error = new Error("it is full");
  assert.equal(errorForUsers(error), error);
  const cause = new Error("Too many open files (os error 24)");
  const said = errorForUsers(cause);
  assert.deepEqual([said.message, said.cause], ["too many open files", cause]);
});
