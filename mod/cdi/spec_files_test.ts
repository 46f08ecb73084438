import assert from "node:assert/strict";
import fc from "fast-check";
import { join } from "node:path";
import type { ClaimMetadata } from "../agent/model.ts";
import { CdiSpecFiles } from "./spec_files.ts";

const claim = { namespace: "default", name: "a", uid: "0b5b3b0e-0000-4000-8000-000000000001" };
const lan = { request: "lan", pool: "node-1", device: "cni", attributes: {} };
const metadata: ClaimMetadata = { claim, devices: [lan] };

async function withFolder(body: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("CdiSpecFiles writes one device that the container runtime can resolve", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(join(folder, "cdi"), { driver: "dra.networking" });
    files.allowCreate(metadata);
    const path = join(folder, "cdi", `dra.networking_${claim.uid}.json`);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), {
      cdiVersion: "0.5.0",
      kind: "dra.networking/claim",
      devices: [{
        name: claim.uid,
        containerEdits: {
          env: ["NETWORK_CLAIM_0B5B3B0E_0000_4000_8000_000000000001=default/a"],
          mounts: [{
            hostPath: join(folder, "cdi", `dra.networking_${claim.uid}.attached`),
            containerPath: `/etc/network-dra/${claim.uid}`,
            options: ["ro", "bind", "nosuid", "nodev", "noexec"],
          }, {
            hostPath: join(folder, "cdi", `dra.networking_${claim.uid}.metadata`, "lan.json"),
            containerPath: "/var/run/kubernetes.io/dra-device-attributes/resourceclaims/a/lan/" +
              "dra.networking-metadata.json",
            options: ["ro", "bind", "nosuid", "nodev", "noexec"],
          }],
        },
      }],
    });
    // The runtime reads it as another user in some set-ups.
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o644);
    await files.refuseCreate(claim.uid);
    assert.deepEqual([...Deno.readDirSync(join(folder, "cdi"))], []);
  }));

Deno.test("CdiSpecFiles has an empty file as long as containers that name the claim may start", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(join(folder, "cdi"), { driver: "dra.networking" });
    assert.equal(await files.startAllowed(claim.uid), false);
    files.allowStart(metadata);
    const path = join(folder, "cdi", `dra.networking_${claim.uid}.attached`);
    const { isFile, size, mode } = await Deno.lstat(path);
    assert.deepEqual([isFile, size, mode! & 0o777], [true, 0, 0o644]);
    assert.equal(await files.startAllowed(claim.uid), true);
    await files.refuseStart(claim.uid);
    assert.equal(await files.startAllowed(claim.uid), false);
    assert.deepEqual([...Deno.readDirSync(join(folder, "cdi"))], []);
  }));

Deno.test("CdiSpecFiles says which file it could not write", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
    await Deno.mkdir(join(folder, `dra.networking_${claim.uid}.attached/full`), {
      recursive: true,
    });
    assert.throws(
      () => files.allowStart(metadata),
      /^Error: cannot write \S+\/dra\.networking_0b5b3b0e-\S+\.attached: /,
    );
  }));

Deno.test("CdiSpecFiles device ids lead back to the claim, and only our own do", () => {
  const files = new CdiSpecFiles("/var/run/cdi", { driver: "dra.networking" });
  assert.equal(files.deviceId(claim.uid), `dra.networking/claim=${claim.uid}`);
  assert.equal(files.claimUid(`dra.networking/claim=${claim.uid}`), claim.uid);
  assert.equal(files.claimUid(`other.example/claim=${claim.uid}`), undefined);
  assert.equal(files.claimUid("dra.networking/other=x"), undefined);
});

Deno.test("CdiSpecFiles lists its own files, also half-written ones, and no other driver's", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
    files.allowCreate(metadata);
    new CdiSpecFiles(folder, { driver: "dra.networking-2" }).allowCreate(metadata);
    await Deno.writeTextFile(join(folder, "dra.networking_half.json.tmp"), "{");
    await Deno.writeTextFile(join(folder, "dra.networking_attached.attached"), "");
    await Deno.mkdir(join(folder, "dra.networking_read.metadata"));
    await Deno.writeTextFile(join(folder, "dra.networking_read.metadata", "lan.json"), "{}");
    await Deno.writeTextFile(join(folder, "vendor.json"), "{}");
    await Deno.writeTextFile(join(folder, "dra.networking_file.metadata"), "{}");
    const half = ["attached", "half", "read"];
    assert.deepEqual((await files.list()).sort(), [claim.uid, ...half]);
    for (const uid of half) {
      await files.refuseCreate(uid);
      await files.refuseStart(uid);
    }
    assert.deepEqual(await files.list(), [claim.uid]);
  }));

Deno.test("CdiSpecFiles has a file of metadata a request before containers may start, and none after", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(join(folder, "cdi"), { driver: "dra.networking" });
    const own = join(folder, "cdi", `dra.networking_${claim.uid}.metadata`);
    const names = () => [...Deno.readDirSync(own)].map(({ name }) => name).toSorted();
    const wan = { ...lan, request: "wan/fast" };
    // Where the second cannot be written, containers go on waiting.
    await Deno.mkdir(join(own, "wan.json", "full"), { recursive: true });
    assert.throws(
      () => files.allowStart({ claim, devices: [lan, wan] }),
      /^Error: cannot write \S+\.metadata\/wan\.json: /,
    );
    assert.equal(await files.startAllowed(claim.uid), false);
    await Deno.remove(join(own, "wan.json"), { recursive: true });
    files.allowStart({ claim, devices: [lan, wan] });
    assert.deepEqual(names(), ["lan.json", "wan.json"]);
    assert.equal((await Deno.stat(join(own, "lan.json"))).mode! & 0o777, 0o644);
    await files.refuseStart(claim.uid);
    assert.deepEqual([...Deno.readDirSync(join(folder, "cdi"))], []);
  }));

Deno.test("CdiSpecFiles rewrites metadata in place, where it changed", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
    const path = join(folder, `dra.networking_${claim.uid}.metadata`, "lan.json");
    const withIp = (ip: string) => ({
      claim,
      devices: [{ ...lan, networkData: { interfaceName: "net1", ips: [ip] } }],
    });
    const shown = async () => (await Deno.readTextFile(path)).match(/"generation": \d+|"10.*"/g);
    files.allowStart(withIp("10.0.0.100/24"));
    const { ino } = await Deno.stat(path);
    const [first, again] = ['"generation": 1', '"10.0.0.100/24"'];
    assert.deepEqual(await shown(), [first, again, first, again]);
    // Another agent's word is taken over as it is.
    new CdiSpecFiles(folder, { driver: "dra.networking" }).allowStart(withIp("10.0.0.100/24"));
    assert.deepEqual(await shown(), [first, again, first, again]);
    files.allowStart(withIp("10.0.0.2/24"));
    const [second, other] = ['"generation": 2', '"10.0.0.2/24"'];
    assert.deepEqual(await shown(), [second, other, second, other]);
    assert.equal((await Deno.stat(path)).ino, ino, "containers have this one mounted");
  }));

Deno.test("CdiSpecFiles keeps metadata to itself where it is told so", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(folder, { driver: "dra.networking", metadata: false });
    files.allowCreate(metadata);
    files.allowStart(metadata);
    const path = join(folder, `dra.networking_${claim.uid}.json`);
    const [{ containerEdits }] = JSON.parse(await Deno.readTextFile(path)).devices;
    assert.equal(containerEdits.mounts.length, 1);
    assert.equal([...Deno.readDirSync(folder)].length, 2);
  }));

Deno.test("CdiSpecFiles with no folder does nothing", async () => {
  const files = new CdiSpecFiles("", { driver: "dra.networking" });
  assert.equal(files.deviceId(claim.uid), undefined);
  files.allowCreate(metadata);
  await files.refuseCreate(claim.uid);
  files.allowStart(metadata);
  await files.refuseStart(claim.uid);
  assert.deepEqual(await files.list(), []);
});

Deno.test("CdiSpecFiles finds no files where there is no folder", async () => {
  const files = new CdiSpecFiles("/nonexistent/cdi", { driver: "dra.networking" });
  assert.deepEqual(await files.list(), []);
  await files.refuseCreate(claim.uid);
});

Deno.test("CdiSpecFiles writes no file by a link", async (t) => {
  await t.step("in place of the folder", () =>
    withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "elsewhere"));
      await Deno.symlink(join(folder, "elsewhere"), join(folder, "cdi"));
      const files = new CdiSpecFiles(join(folder, "cdi"), { driver: "dra.networking" });
      assert.throws(
        () => files.allowCreate(metadata),
        /cdi is a symbolic link, which is not followed/,
      );
      assert.deepEqual([...Deno.readDirSync(join(folder, "elsewhere"))], []);
    }));
  await t.step("in place of the folder of metadata", () =>
    withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "elsewhere"));
      await Deno.symlink("elsewhere", join(folder, `dra.networking_${claim.uid}.metadata`));
      const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
      assert.throws(
        () => files.allowStart(metadata),
        /metadata is a symbolic link, which is not followed/,
      );
      assert.deepEqual([...Deno.readDirSync(join(folder, "elsewhere"))], []);
    }));
  await t.step("in place of a file of metadata", () =>
    withFolder(async (folder) => {
      const own = join(folder, `dra.networking_${claim.uid}.metadata`);
      await Deno.mkdir(own);
      await Deno.writeTextFile(join(folder, "target"), "untouched");
      await Deno.symlink(join(folder, "target"), join(own, "lan.json"));
      new CdiSpecFiles(folder, { driver: "dra.networking" }).allowStart(metadata);
      assert.equal(await Deno.readTextFile(join(folder, "target")), "untouched");
      assert.ok((await Deno.lstat(join(own, "lan.json"))).isFile);
    }));
  for (const end of ["", ".tmp"]) {
    await t.step(`in place of the file${end}`, () =>
      withFolder(async (folder) => {
        const target = join(folder, "target");
        await Deno.writeTextFile(target, "untouched");
        const path = join(folder, `dra.networking_${claim.uid}.json`);
        await Deno.symlink(target, path + end);
        const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
        files.allowCreate(metadata);
        assert.equal(await Deno.readTextFile(target), "untouched");
        assert.ok((await Deno.lstat(path)).isFile);
      }));
  }
});

Deno.test("CdiSpecFiles.claims() names the claims whose containers are created", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
    assert.deepEqual(await files.claims(), []);
    files.allowCreate(metadata);
    files.allowStart({ ...metadata, claim: { ...claim, uid: "only-started" } });
    const cut = join(folder, "dra.networking_cut-off.json");
    const other = join(folder, "dra.networking_other.json");
    await Deno.writeTextFile(cut, '{ "devices": [ { "env": [ "NETWORK_CLAIM_CUT_OFF=kube-sys');
    await Deno.writeTextFile(other, '{ "env": ["NETWORK_CLAIM_OTHER=../..", "X=a/b"] }');
    assert.deepEqual(await files.claims(), [claim]);
    await files.refuseCreate(claim.uid);
    assert.deepEqual(await files.claims(), []);
  }));

Deno.test("CdiSpecFiles.list() passes over what it did not write", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(folder, { driver: "dra.networking" });
    files.allowCreate(metadata);
    await Deno.writeTextFile(join(folder, "dra.networking_%zz.json"), "");
    await Deno.mkdir(join(folder, "dra.networking_folder.json", "full"), { recursive: true });
    await Deno.symlink("/etc/passwd", join(folder, "dra.networking_link.json"));
    assert.deepEqual(await files.list(), [claim.uid]);
  }));

Deno.test("CdiSpecFiles cannot be led out of its folder by a UID", () =>
  withFolder(async (folder) => {
    const files = new CdiSpecFiles(join(folder, "cdi"), { driver: "dra.networking" });
    const part = fc.constantFrom(
      "..",
      ".",
      "/",
      "\\",
      "\0",
      "%2e",
      "%2F",
      "~",
      "a",
      "\n",
      "_",
      ".json",
    );
    const uids = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(uids, async (uid) => {
        const strange = { ...metadata, claim: { ...claim, uid } };
        files.allowCreate(strange);
        files.allowStart(strange);
        await files.refuseCreate(uid);
        await files.refuseStart(uid);
      }),
      { numRuns: 200 },
    );
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["cdi"]);
    assert.deepEqual([...Deno.readDirSync(join(folder, "cdi"))], []);
  }));

Deno.test("CdiSpecFiles makes its folder, and says why it cannot", () =>
  withFolder(async (folder) => {
    const path = join(folder, "cdi");
    const files = new CdiSpecFiles(path, { driver: "dra.networking" });
    await Deno.writeTextFile(path, "");
    assert.match(files.lack()?.problem ?? "", /\/cdi cannot be used: .* not a folder/);
    assert.match(files.lack()?.whatToDo ?? "", /--cdi-dir/);
    await Deno.remove(path);
    assert.equal(files.lack(), undefined);
    assert.equal((await Deno.stat(path)).isDirectory, true);
    assert.equal(new CdiSpecFiles("", { driver: "dra.networking" }).lack(), undefined);
  }));
