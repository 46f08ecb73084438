import assert from "node:assert/strict";
import { join } from "node:path";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { anAttachmentSnapshot, aStatusDocument } from "../../tests/support/status_documents.ts";
import { systemClock } from "../async/clock.ts";
import { askAgents } from "./client.ts";
import type { StatusDocument } from "./document.ts";
import { documentText } from "./document_text.ts";
import { serveStatus } from "./server.ts";
import { statusFolder, statusSocket } from "./socket.ts";

/** Serves texts of a state folder's agents, by name. */
async function withAgents(
  texts: Readonly<Record<string, () => Iterable<string>>>,
  body: (stateDir: string, log: FakeLog) => Promise<void>,
): Promise<void> {
  const stateDir = await Deno.makeTempDir();
  const [log, end] = [new FakeLog(), new AbortController()];
  const served = Object.entries(texts).map(([podUid, text]) =>
    serveStatus(statusSocket({ stateDir, podUid })!, {
      text,
      log,
      clock: systemClock,
      signal: end.signal,
    })
  );
  try {
    for (const podUid of Object.keys(texts)) {
      const path = statusSocket({ stateDir, podUid })!;
      while (!await Deno.lstat(path).catch(() => undefined)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    await body(stateDir, log);
  } finally {
    end.abort();
    await Promise.all(served);
    await Deno.remove(stateDir, { recursive: true });
  }
}

const ONE = aStatusDocument([anAttachmentSnapshot("default/web")]);

Deno.test("serveStatus() answers root alone, and takes its socket away at its end", async () => {
  let socket = "";
  await withAgents({ one: () => documentText(ONE) }, async (stateDir, log) => {
    socket = statusSocket({ stateDir, podUid: "one" })!;
    assert.equal((await Deno.lstat(socket)).mode! & 0o777, 0o600);
    assert.equal((await Deno.lstat(statusFolder(stateDir))).mode! & 0o777, 0o700);
    assert.deepEqual(await askAgents(stateDir), [{ kind: "document", document: ONE }]);
    assert.deepEqual([...Deno.readDirSync(statusFolder(stateDir))].map(({ name }) => name), [
      "one.sock",
    ]);
    assert.deepEqual(log.lines, []);
    // Kept open until the end, which it must not hold up.
    await Deno.connect({ transport: "unix", path: socket });
  });
  assert.equal(await Deno.lstat(socket).catch(() => undefined), undefined);
});

Deno.test("askAgents() reads a thousand attachments, of several agents, from several who ask", async () => {
  const many = aStatusDocument(
    Array.from({ length: 1_000 }, (_, i) => anAttachmentSnapshot(`default/p${i}`)),
  );
  const texts = { a: () => documentText(many), b: () => documentText(ONE) };
  await withAgents(texts, async (stateDir) => {
    const asked = await Promise.all(Array.from({ length: 12 }, () => askAgents(stateDir)));
    for (const answers of asked) {
      const documents = answers.map((each) => each.kind === "document" && each.document);
      assert.deepEqual(documents, [many, ONE]);
    }
  });
});

Deno.test("serveStatus() lets others go on between two pieces", async () => {
  let made = 0;
  const text = function* () {
    for (; made < 100; made++) yield " ";
    yield* documentText(ONE);
  };
  await withAgents({ a: text }, async (stateDir) => {
    const seen = new Set<number>();
    let asking = true;
    const watch = (async () => {
      while (asking) {
        seen.add(made);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    })();
    await askAgents(stateDir);
    asking = false;
    await watch;
    assert.ok(seen.size > 20, `${seen.size}`);
  });
});

Deno.test("askAgents() tells an agent that hangs, that is gone, and that says what nobody understands", async () => {
  const texts = {
    half: () => ["{"],
    later: () => [JSON.stringify({ version: 2 } as unknown as StatusDocument)],
  };
  await withAgents(texts, async (stateDir) => {
    const folder = statusFolder(stateDir);
    const dead = Deno.listen({ transport: "unix", path: join(folder, "x") });
    await Deno.rename(join(folder, "x"), join(folder, "gone.sock"));
    dead.close();
    const hanging = Deno.listen({ transport: "unix", path: join(folder, "hangs.sock") });
    try {
      const answers = await askAgents(stateDir, { limitMs: 300 });
      assert.deepEqual(
        answers.map((answer) => `${answer.kind} ${"error" in answer ? answer.error : ""}`.trim()),
        [
          "nobody",
          "unusable the answer is not whole: the agent ended, or another program answers",
          "hangs",
          "unusable the answer is of version 2, and this program reads version 1: use the program " +
          "of the agent's own release",
        ],
        "by the names of the sockets",
      );
    } finally {
      hanging.close();
    }
  });
});

Deno.test("askAgents() finds nobody where no agent has ever run", async () => {
  const stateDir = await Deno.makeTempDir();
  assert.deepEqual(await askAgents(stateDir), []);
  await Deno.remove(stateDir);
});

Deno.test("statusSocket() is none where the kernel would take no path of that length", () => {
  assert.equal(statusSocket({ stateDir: `/${"x".repeat(100)}` }), undefined);
  assert.equal(statusSocket({ stateDir: "/s" }), "/s/status/agent.sock");
});
