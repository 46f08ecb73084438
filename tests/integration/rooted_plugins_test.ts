/** Programs in another root folder, as plugins run with --chroot-dir. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { assertRoot, rootedRunner } from "../../mod/cni/launched_program.ts";
import {
  installSessionLauncher,
  NOT_IN_ROOT,
  readFailure,
  sessionLauncher,
} from "../../mod/cni/session_launcher.ts";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";
import { fetchQemu } from "../support/qemu.ts";

const BUSYBOX = join(
  await fetchDebianPackage("busybox-static", { cache: cacheFolder() }),
  "bin/busybox",
);
const qemu = await fetchQemu();

interface Place {
  readonly launcher: string;
  readonly root: string;
}

/** A root folder that holds a shell, its /proc and nothing else, and the launcher beside it. */
async function withRoot(body: (place: Place) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const root = join(folder, "root");
  try {
    for (const each of ["bin", "proc", "opt"]) {
      await Deno.mkdir(join(root, each), { recursive: true });
    }
    await Deno.copyFile(BUSYBOX, join(root, "bin/busybox"));
    for (const name of ["sh", "cat", "ls", "pwd", "cut"]) {
      await Deno.symlink("busybox", join(root, "bin", name));
    }
    await mount("-t", "proc", "proc", join(root, "proc"));
    await body({ launcher: (await installSessionLauncher(folder))!, root });
  } finally {
    await new Deno.Command("umount", { args: [join(root, "proc")] }).output();
    await Deno.remove(folder, { recursive: true });
  }
}

async function mount(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("mount", { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function script({ root }: Place, text: string): Promise<string> {
  await Deno.writeTextFile(join(root, "opt/plugin"), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return "/opt/plugin";
}

const never = new AbortController().signal;
const options = {
  env: { PATH: "/bin", GIVEN: "yes" },
  stdin: new TextEncoder().encode("input"),
  timeout: 10_000,
  signal: never,
};
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("rootedRunner() runs a program with the root's files, from its top, in a session of its own", () =>
  withRoot(async (place) => {
    const path = await script(
      place,
      'echo "$0 $# $GIVEN $(cat) $(pwd)"; ls /; cut -d " " -f 1,5,6 /proc/$$/stat',
    );
    const outcome = await rootedRunner(place)(path, options);
    const [first, ...rest] = text(outcome.stdout).trim().split("\n");
    assert.deepEqual([outcome.code, outcome.stderr], [0, ""]);
    assert.equal(first, "/opt/plugin 0 yes input /");
    assert.deepEqual(rest.slice(0, 3), ["bin", "opt", "proc"]);
    const [pid, group, session] = rest[3]!.split(" ");
    assert.deepEqual([group, session], [pid, pid]);
  }));

Deno.test("rootedRunner() says why a program cannot be run, and runs nothing of this root instead", () =>
  withRoot(async (place) => {
    const run = rootedRunner(place);
    await assert.rejects(
      run("/usr/bin/env", options),
      /\/usr\/bin\/env in \/run\/.*: exec: ENOENT/,
    );
    await Deno.writeTextFile(join(place.root, "opt/text"), "#!/bin/sh\n", { mode: 0o644 });
    await assert.rejects(run("/opt/text", options), /exec: EACCES/);
    const elsewhere = rootedRunner({ ...place, root: "/nonexistent" });
    await assert.rejects(elsewhere("/bin/sh", options), /cannot become the root folder \(ENOENT\)/);
  }));

Deno.test("rootedRunner() takes a program's exit code for its own", () =>
  withRoot(async (place) => {
    const path = await script(place, `echo 12345678; exit ${NOT_IN_ROOT}`);
    assert.equal((await rootedRunner(place)(path, options)).code, NOT_IN_ROOT);
  }));

Deno.test("rootedRunner() waits for a program that is being replaced", () =>
  withRoot(async (place) => {
    const path = join(place.root, "bin/true");
    await Deno.copyFile(BUSYBOX, path);
    const writer = await Deno.open(path, { write: true });
    setTimeout(() => writer.close(), 150);
    assert.equal((await rootedRunner(place)("/bin/true", options)).code, 0);
  }));

Deno.test("rootedRunner() kills a program that hangs, with all that it started", () =>
  withRoot(async (place) => {
    const path = await script(place, "/bin/busybox sleep 300 & echo $! $$; /bin/busybox sleep 300");
    const outcome = await rootedRunner(place)(path, { ...options, timeout: 300 });
    assert.equal(outcome.killed, "it did not end within 300 ms");
    for (const pid of text(outcome.stdout).trim().split(" ")) {
      for (let i = 0; i < 200 && await isAlive(pid); i++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal(await isAlive(pid), false);
    }
  }));

async function isAlive(pid: string): Promise<boolean> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  return stat !== "" && !/\) Z /.test(stat);
}

Deno.test("assertRoot() takes a root with this process's /proc, and says what another lacks", () =>
  withRoot(async (place) => {
    await assertRoot(place);
    await assert.rejects(
      assertRoot({ ...place, launcher: undefined }),
      /plugin launcher is not in the state folder/,
    );
    await Deno.chmod(place.launcher, 0o600);
    await assert.rejects(assertRoot(place), /cannot be executed; is its folder mounted noexec/);
    await Deno.chmod(place.launcher, 0o700);
    await assert.rejects(assertRoot({ ...place, root: "/nonexistent" }), /it has no \/proc/);
    const [own, root] = [Deno.pid, place.root];
    await new Deno.Command("umount", { args: [join(root, "proc")] }).output();
    await assert.rejects(
      assertRoot(place),
      /it has no \/proc; mount the node's root with everything/,
    );
    // As a pod without hostPID would see the node's.
    await Deno.symlink(String(own + 1), join(root, "proc/self"));
    await assert.rejects(
      assertRoot(place),
      {
        message: `--chroot-dir ${root}: its /proc knows this process as ${own + 1}, not ${own}; ` +
          "set hostPID: true for the pod",
      },
    );
  }));

/** How to run what {@link sessionLauncher} makes for a machine. */
const MACHINES: readonly {
  readonly arch: string;
  readonly by: readonly string[];
  readonly missing?: string;
}[] = [
  { arch: Deno.build.arch, by: [] },
  ...Deno.build.arch === "aarch64" ? [] : [
    "path" in qemu
      ? { arch: "aarch64", by: [qemu.path] }
      : { arch: "aarch64", by: [], missing: qemu.missing },
  ],
];

for (const { arch, by, missing } of MACHINES) {
  Deno.test({
    name: `the launcher for ${arch} enters a root and becomes a program there${
      missing ? ` (not run: ${missing})` : ""
    }`,
    ignore: missing !== undefined,
    fn: () =>
      withRoot(async ({ root }) => {
        const launcher = join(dirname(root), arch);
        await Deno.writeFile(launcher, sessionLauncher(arch)!, { mode: 0o700 });
        const launch = (args: readonly string[], drop: readonly string[] = []) => {
          const [program = "", ...rest] = [...drop, ...by, launcher, ...args];
          return new Deno.Command(program, {
            args: rest,
            clearEnv: true,
            env: { GIVEN: "yes" },
          }).output();
        };
        const shell = ["/bin/sh", "sh", "-c", 'echo "$0 $GIVEN $*"; pwd; ls /', "name", "x"];
        const inRoot = await launch([root, ...shell]);
        assert.equal(text(inRoot.stderr), "");
        assert.equal(text(inRoot.stdout), "name yes x\n/\nbin\nopt\nproc\n");
        const here = await launch(["", ...shell]);
        assert.match(text(here.stdout), /^name yes x\n(?!\/\n)/);
        assert.deepEqual(readFailure(await launch([root, "/nonexistent", "x"])), {
          step: "exec",
          errno: 2,
        });
        assert.deepEqual(readFailure(await launch([join(root, "bin/sh"), ...shell])), {
          step: "chroot",
          errno: 20,
        });
        const drop = ["setpriv", "--bounding-set=-sys_chroot", "--inh-caps=-all", "--"];
        assert.deepEqual(readFailure(await launch([root, ...shell], drop)), {
          step: "chroot",
          errno: 1,
        });
      }),
  });
}
