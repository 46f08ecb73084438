import assert from "node:assert/strict";
import { join } from "node:path";
import { anAttachment, aSandbox, FakeLog } from "../../tests/support/agent_fakes.ts";
import type { AttachmentRecord, ClaimRecord } from "../agent/model.ts";
import { FileJournal } from "./journal.ts";

const claim = { namespace: "default", name: "a", uid: "0b5b3b0e-0000-4000-8000-000000000001" };
const claimRecord: ClaimRecord = {
  claim,
  pods: [{ name: "p", uid: "pod-uid" }],
  shareable: false,
  attachments: [anAttachment("net1", { shareID: "share-1" })],
};
const attachmentRecord: AttachmentRecord = {
  claim,
  sandbox: aSandbox("s1"),
  attachment: anAttachment("net1"),
};

async function withFolder(body: (folder: string, log: FakeLog) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder, new FakeLog());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function opened(folder: string, log: FakeLog) {
  const journal = new FileJournal(folder, { log });
  return { journal, loaded: await journal.load() };
}

Deno.test("FileJournal gives back after a restart what was put", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await journal.putClaim(claimRecord);
    await journal.putAttachment(attachmentRecord);
    const attached = {
      result: { cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24" }] },
      networkData: { interfaceName: "net1", ips: ["10.0.0.2/24"] },
      at: "2026-01-01T00:00:00.000Z",
    };
    const other = { ...attachmentRecord, sandbox: aSandbox("s2"), attached };
    await journal.putAttachment(other);
    const lost: AttachmentRecord["lost"] = {
      reason: "DeviceRemoved",
      message: "Link not found",
      since: "2026-01-02T00:00:00.000Z",
    };
    const third = { ...attachmentRecord, sandbox: aSandbox("s3"), attached, lost };
    await journal.putAttachment(third);
    const { loaded } = await opened(folder, log);
    assert.deepEqual(loaded.claims, [claimRecord]);
    assert.deepEqual(
      loaded.attachments.toSorted((a, b) => a.sandbox.id.localeCompare(b.sandbox.id)),
      [attachmentRecord, other, third],
    );
    assert.deepEqual(log.lines, []);
  }));

Deno.test("FileJournal notes on a record that ADD starts, in place and at once", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await journal.putAttachment({ ...attachmentRecord, add: "pending" });
    const [entry] = [...Deno.readDirSync(join(folder, "attachments"))];
    const path = join(folder, "attachments", entry!.name);
    const before = await Deno.stat(path);
    assert.deepEqual((await opened(folder, log)).loaded.attachments[0]?.add, "pending");
    journal.noteAddStarted(attachmentRecord);
    const after = await Deno.stat(path);
    // A crash of the machine leaves one or the other, never a part.
    assert.deepEqual([after.ino, after.size], [before.ino, before.size]);
    assert.deepEqual((await opened(folder, log)).loaded.attachments[0]?.add, "started");
    assert.deepEqual([...Deno.readDirSync(join(folder, "attachments"))].length, 1);
  }));

Deno.test("FileJournal gives back every field that a record can have", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    const attached: Required<NonNullable<AttachmentRecord["attached"]>> = {
      result: { cniVersion: "1.0.0" },
      networkData: { interfaceName: "net1", hardwareAddress: "02:00:00:00:00:01", ips: [] },
      at: "2026-01-01T00:00:00.000Z",
      checked: true,
      index: 2,
    };
    const whole: Required<AttachmentRecord> = {
      ...attachmentRecord,
      attached,
      lost: { reason: "DeviceRemoved", message: "", since: attached.at },
      add: "started",
      repair: true,
      addFailed: true,
      foreign: true,
    };
    const wholeClaim: Required<ClaimRecord> = {
      ...claimRecord,
      groups: ["group-uid"],
      unprepared: true,
      podClaimName: "net",
    };
    await journal.putAttachment(whole);
    await journal.putClaim(wholeClaim);
    const { loaded } = await opened(folder, log);
    assert.deepEqual(loaded.attachments, [whole]);
    assert.deepEqual(loaded.claims, [wholeClaim]);
  }));

Deno.test("FileJournal.look() tells the records of a pod from those that it may come to share", async (t) => {
  const pod = { namespace: "default", name: "p", uid: "pod-uid" };
  const uidOf = (n: number) => `0b5b3b0e-0000-4000-8000-00000000000${n}`;
  const other = (n: number, more: Partial<ClaimRecord> = {}, namespace = "default") => ({
    ...claimRecord,
    claim: { namespace, name: `other-${n}`, uid: uidOf(n) },
    pods: [{ name: "q", uid: "other-pod" }],
    ...more,
  });
  await t.step("of what can be read", () =>
    withFolder(async (folder, log) => {
      const { journal } = await opened(folder, log);
      const shareable = other(2, { shareable: true });
      const elsewhere = other(4, { shareable: true }, "kube-system");
      for (const record of [claimRecord, shareable, other(3), elsewhere]) {
        await journal.putClaim(record);
      }
      await journal.putAttachment(attachmentRecord);
      await journal.putAttachment({ ...attachmentRecord, claim: shareable.claim });
      assert.deepEqual(await journal.look(pod), {
        claims: [claimRecord],
        attachments: [attachmentRecord],
        shareable: [shareable],
        unreadable: false,
        recorded: new Set([claim.uid, uidOf(2), uidOf(3), uidOf(4)]),
      });
    }));
  await t.step("of a version to come", () =>
    withFolder(async (folder, log) => {
      const { journal } = await opened(folder, log);
      const path = join(folder, "claims", `${claim.uid}.json`);
      await Deno.writeTextFile(path, JSON.stringify({ ...claimRecord, version: 2 }));
      assert.equal((await journal.look(pod)).unreadable, true);
    }));
});

Deno.test("FileJournal keeps one record for each part of the key", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    const records = [
      attachmentRecord,
      { ...attachmentRecord, claim: { ...claim, uid: "other" } },
      { ...attachmentRecord, sandbox: aSandbox("s2") },
      ...[{ request: "r" }, { pool: "p" }, { device: "d" }, { shareID: "s" }].map((part) => ({
        ...attachmentRecord,
        attachment: anAttachment("net1", part),
      })),
    ];
    for (const record of records) await journal.putAttachment(record);
    assert.equal((await opened(folder, log)).loaded.attachments.length, records.length);
    for (const record of records) await journal.removeAttachment(record);
    assert.equal((await opened(folder, log)).loaded.attachments.length, 0);
  }));

Deno.test("FileJournal removes what is not there without an error", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await journal.removeClaim("unknown", { departs: true });
    await journal.removeAttachment(attachmentRecord);
  }));

Deno.test("FileJournal writes files and folders that only their owner can read", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await journal.putClaim(claimRecord);
    const path = join(folder, "claims", `${claim.uid}.json`);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(join(folder, "claims"))).mode! & 0o777, 0o700);
  }));

Deno.test("FileJournal cannot be led out of its folder by a UID", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    for (const uid of ["../../escaped", "/etc/x", "..", ".", "a/b", "a\0b"]) {
      await journal.putClaim({ ...claimRecord, claim: { ...claim, uid } });
      await journal.putAttachment({ ...attachmentRecord, claim: { ...claim, uid } });
      await journal.removeClaim(uid, { departs: true });
    }
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["attachments", "claims"]);
    // Nor is such a UID, which no API server gave, taken up again.
    const { claims, attachments } = (await opened(folder, log)).loaded;
    assert.deepEqual([claims, attachments], [[], []]);
  }));

Deno.test("FileJournal puts a broken record aside, reports it and loads the rest", async (t) => {
  const whole = JSON.stringify({ version: 1, ...claimRecord });
  const cases: Record<string, { content: string; says: RegExp }> = {
    "empty": { content: "", says: /JSON/ },
    "truncated": { content: whole.slice(0, 80), says: /JSON/ },
    "not an object": { content: "[]", says: /version|object/i },
    "from a future version": {
      content: JSON.stringify({ ...claimRecord, version: 2 }),
      says: /version/,
    },
    "without a version": { content: JSON.stringify(claimRecord), says: /version/ },
    "with a field of another type": {
      content: JSON.stringify({ version: 1, ...claimRecord, shareable: "no" }),
      says: /shareable/,
    },
    "with a claim that has no uid": {
      content: JSON.stringify({ version: 1, ...claimRecord, claim: { namespace: "a", name: "b" } }),
      says: /claim\.uid/,
    },
    "with an interface name that leads elsewhere": {
      content: JSON.stringify({
        version: 1,
        ...claimRecord,
        attachments: [anAttachment("../../x")],
      }),
      says: /attachments\.0\.ifName: must be the name of an interface/,
    },
    "with a plugin that is a path": {
      content: JSON.stringify({
        version: 1,
        ...claimRecord,
        attachments: [anAttachment("net1", {
          network: { cniVersion: "1.0.0", name: "n", plugins: [{ type: "../sh" }] },
        })],
      }),
      says: /attachments\.0\.network\.plugins\.0\.type/,
    },
    "under a name that is not its own": {
      content: JSON.stringify({ version: 1, ...claimRecord, claim: { ...claim, uid: "other" } }),
      says: /its name must be other\.json/,
    },
    "longer than any record": { content: " ".repeat(9 * 1024 * 1024), says: /has 9437184 bytes/ },
  };
  for (const [name, { content, says }] of Object.entries(cases)) {
    await t.step(name, () =>
      withFolder(async (folder) => {
        const reports: string[] = [];
        const log = new FakeLog();
        log.error = (message, about?: Record<string, unknown>) =>
          void reports.push(`${message} ${about?.file} ${about?.error}`);
        const { journal } = await opened(folder, log);
        await journal.putClaim(claimRecord);
        await Deno.writeTextFile(join(folder, "claims", "broken.json"), content);
        const { loaded } = await opened(folder, log);
        assert.deepEqual(loaded.claims, [claimRecord]);
        assert.equal(reports.length, 1);
        assert.match(reports[0]!, /broken\.json\.corrupt/);
        assert.match(reports[0]!, says);
        assert.equal(
          await Deno.readTextFile(join(folder, "claims", "broken.json.corrupt")),
          content,
        );
        assert.deepEqual((await opened(folder, log)).loaded.claims, [claimRecord]);
        assert.equal(reports.length, 1);
      }));
  }
});

Deno.test("FileJournal names the claim of an attachment whose record it cannot read", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await journal.putAttachment(attachmentRecord);
    const [file] = [...Deno.readDirSync(join(folder, "attachments"))];
    await Deno.writeTextFile(join(folder, "attachments", file!.name), "");
    const { loaded } = await opened(folder, log);
    const other = { ...attachmentRecord, sandbox: { ...attachmentRecord.sandbox, id: "other" } };
    // The agent may have died before it made anything of it.
    for (const { unreadable, ...rest } of [loaded, (await opened(folder, log)).loaded]) {
      assert.deepEqual(rest, { claims: [], attachments: [], departed: [] });
      assert.deepEqual(unreadable.map(({ claimUid }) => claimUid), [claim.uid]);
      assert.ok(unreadable[0]!.isOf(attachmentRecord));
      assert.ok(!unreadable[0]!.isOf(other));
    }
  }));

Deno.test("FileJournal ignores what a crash left half-written", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await journal.putClaim(claimRecord);
    await Deno.writeTextFile(join(folder, "claims", `${claim.uid}.json.tmp`), '{"vers');
    const { loaded } = await opened(folder, log);
    assert.deepEqual(loaded.claims, [claimRecord]);
    assert.deepEqual([...Deno.readDirSync(join(folder, "claims"))].map(({ name }) => name), [
      `${claim.uid}.json`,
    ]);
  }));

Deno.test("FileJournal removes what failed writes left as soon as the disk lets it go", () =>
  withFolder(async (folder, log) => {
    const claims = join(folder, "claims");
    const left = () => [...Deno.readDirSync(claims)].map(({ name }) => name);
    // As on a disk that takes nothing, nothing can be renamed to it, and it cannot be removed.
    const [record, temporary] = [`${claim.uid}.json`, `${claim.uid}.json.tmp`];
    const keep = () => Deno.mkdir(join(claims, temporary, "full"), { recursive: true });
    const letGo = () => Deno.remove(join(claims, temporary, "full"));
    const { journal } = await opened(folder, log);
    await keep();
    await assert.rejects(journal.putClaim(claimRecord), /cannot write the record/);
    journal.tidy();
    assert.deepEqual(left(), [temporary]);
    await letGo();
    journal.tidy();
    assert.deepEqual(left(), []);
    // What an earlier agent left is no different.
    await keep();
    const next = await opened(folder, log);
    await letGo();
    next.journal.tidy();
    assert.deepEqual(left(), []);
    // A write that is under way is not disturbed.
    await keep();
    await assert.rejects(next.journal.putClaim(claimRecord));
    await Deno.remove(join(claims, temporary), { recursive: true });
    const writing = next.journal.putClaim(claimRecord);
    next.journal.tidy();
    await writing;
    assert.deepEqual(left(), [record]);
  }));

Deno.test("FileJournal remembers a claim that departs until it is forgotten", () =>
  withFolder(async (folder, log) => {
    const files = () => [...Deno.readDirSync(join(folder, "claims"))].map(({ name }) => name);
    const pod = { namespace: claim.namespace, name: "another", uid: "another" };
    const { journal } = await opened(folder, log);
    await journal.putClaim(claimRecord);
    await journal.removeClaim(claim.uid, { departs: true });
    assert.deepEqual(files(), [`${claim.uid}.departed`]);
    const { journal: next, loaded } = await opened(folder, log);
    assert.deepEqual([loaded.claims, loaded.departed], [[], [claimRecord]]);
    // A pod can come to use it while no agent leads.
    assert.deepEqual((await next.look(pod)).shareable, [claimRecord]);
    assert.deepEqual((await next.look({ ...pod, namespace: "elsewhere" })).shareable, []);
    next.forgetDeparted(claim.uid);
    next.forgetDeparted(claim.uid);
    assert.deepEqual(files(), []);
    await next.putClaim(claimRecord);
    await next.removeClaim(claim.uid, { departs: false });
    assert.deepEqual(files(), []);
  }));

Deno.test("FileJournal removes what it cannot read of a claim that departed", () =>
  withFolder(async (folder, log) => {
    await opened(folder, log);
    await Deno.writeTextFile(join(folder, "claims", `${claim.uid}.departed`), "{");
    const { loaded } = await opened(folder, log);
    assert.deepEqual([loaded.claims, loaded.departed], [[], []]);
    assert.deepEqual([...Deno.readDirSync(join(folder, "claims"))], []);
  }));

Deno.test("FileJournal says which file it cannot write", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    await Deno.remove(join(folder, "claims"), { recursive: true });
    await assert.rejects(journal.putClaim(claimRecord), /cannot write the record .*claims\/0b5b/);
  }));

Deno.test("FileJournal does not follow a link planted at the temporary name", () =>
  withFolder(async (folder, log) => {
    const { journal } = await opened(folder, log);
    const target = join(folder, "target");
    await Deno.writeTextFile(target, "untouched");
    await Deno.symlink(target, join(folder, "claims", `${claim.uid}.json.tmp`));
    await journal.putClaim(claimRecord);
    assert.equal(await Deno.readTextFile(target), "untouched");
  }));

Deno.test("FileJournal refuses what is planted in its folders, and starts", async (t) => {
  const plant: Record<string, (path: string, folder: string) => Promise<unknown>> = {
    "a link": async (path, folder) => {
      const target = join(folder, "elsewhere.json");
      await Deno.writeTextFile(target, JSON.stringify({ version: 1, ...claimRecord }));
      await Deno.symlink(target, path);
    },
    // Whoever opens it would wait forever.
    "a pipe": (path) => new Deno.Command("mkfifo", { args: [path] }).output(),
    "a folder": (path) => Deno.mkdir(join(path, "full"), { recursive: true }),
  };
  for (const [name, put] of Object.entries(plant)) {
    await t.step(`${name} in place of a record`, () =>
      withFolder(async (folder, log) => {
        await opened(folder, log);
        await put(join(folder, "claims", `${claim.uid}.json`), folder);
        assert.deepEqual((await opened(folder, log)).loaded.claims, []);
        assert.match(log.lines.join(), /error cannot read a record; it was set aside/);
      }));
  }
  await t.step(
    "a folder that is in the way of what is put aside",
    () =>
      withFolder(async (folder, log) => {
        await opened(folder, log);
        await Deno.writeTextFile(join(folder, "claims", "x.json"), "");
        await Deno.mkdir(join(folder, "claims", "x.json.corrupt", "full"), { recursive: true });
        await Deno.mkdir(join(folder, "claims", "y.json.tmp", "full"), { recursive: true });
        assert.deepEqual((await opened(folder, log)).loaded.claims, []);
        assert.match(log.lines.join(), /warn cannot remove a file/);
        assert.match(log.lines.join(), /warn cannot set a record aside/);
      }),
  );
  for (const kind of ["claims", "attachments"]) {
    await t.step(`a link in place of the folder ${kind}`, () =>
      withFolder(async (folder, log) => {
        const elsewhere = await Deno.makeTempDir({ dir: folder });
        await Deno.symlink(elsewhere, join(folder, kind));
        await assert.rejects(opened(folder, log), /is a symbolic link, which is not followed/);
        assert.deepEqual([...Deno.readDirSync(elsewhere)], []);
      }));
  }
});

Deno.test("FileJournal closes folders that were open to others", () =>
  withFolder(async (folder, log) => {
    await Deno.mkdir(join(folder, "claims"));
    await Deno.chmod(join(folder, "claims"), 0o777);
    await opened(folder, log);
    assert.equal((await Deno.stat(join(folder, "claims"))).mode! & 0o777, 0o700);
  }));

Deno.test("FileJournal starts beside files whose names it would not give", () =>
  withFolder(async (folder, log) => {
    await opened(folder, log);
    for (const name of ["%zz.json", "%.corrupt", ".json", "..json"]) {
      await Deno.writeTextFile(join(folder, "attachments", name), "{");
    }
    assert.deepEqual((await opened(folder, log)).loaded.attachments, []);
    assert.deepEqual((await opened(folder, log)).loaded.attachments, []);
  }));

Deno.test("FileJournal keeps the addresses of a network with what is attached", async (t) => {
  const addresses = {
    pools: [{ subnet: "10.38.0.0/24", ranges: ["10.38.0.10-10.38.0.20"], gateway: "10.38.0.1" }],
    routes: [{ dst: "0.0.0.0/0", gw: "10.38.0.1" }],
    reserved: [{ address: "10.38.0.30", namespace: "shop", claim: "db" }],
    keepFor: "10m",
  };
  const withAddresses = (given: typeof addresses): AttachmentRecord => ({
    ...attachmentRecord,
    attachment: {
      ...attachmentRecord.attachment,
      network: { ...attachmentRecord.attachment.network, addresses: given },
    },
  });
  await t.step("as they are", () =>
    withFolder(async (folder, log) => {
      const { journal } = await opened(folder, log);
      await journal.putAttachment(withAddresses(addresses));
      const { loaded } = await opened(folder, log);
      assert.deepEqual(loaded.attachments, [withAddresses(addresses)]);
    }));
  await t.step("not what is no subnet", () =>
    withFolder(async (folder, log) => {
      const { journal } = await opened(folder, log);
      const pools = [{ ...addresses.pools[0]!, subnet: "10.38.0.0" }];
      await journal.putAttachment(withAddresses({ ...addresses, pools }));
      const { loaded } = await opened(folder, log);
      assert.deepEqual([loaded.attachments, loaded.unreadable.length], [[], 1]);
    }));
});
