/** The agent's image: what is in it, that it is always the same, and that container runtimes take it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import config from "../../deno.json" with { type: "json" };
import { buildImage, IMAGE_FILE, IMAGE_NAME } from "../../deploy/image/build.ts";
import { readTar } from "../../mod/tar/tar.ts";
import { CONTAINERD, Containerd, type ContainerdVersion } from "../support/containerd.ts";
import { readImage } from "../support/image.ts";
import { ImageLoaders } from "../support/image_loaders.ts";

const archive = await Deno.readFile(IMAGE_FILE);
const files = new Map(readTar(archive).map((entry) => [entry.path, entry]));

function json(path: string) {
  const entry = files.get(path);
  assert.ok(entry?.kind === "file", `the archive has no ${path}`);
  return JSON.parse(new TextDecoder().decode(entry.content));
}

async function succeed(program: string, args: string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("the archive is an OCI image layout and Docker's at once", () => {
  assert.deepEqual(json("oci-layout"), { imageLayoutVersion: "1.0.0" });
  const [manifest] = json("index.json").manifests;
  assert.deepEqual(manifest.platform, { architecture: "amd64", os: "linux" });
  assert.deepEqual(manifest.annotations, {
    "io.containerd.image.name": `localhost/network-dra:${config.version}`,
    "org.opencontainers.image.ref.name": config.version,
  });
  for (const [path, entry] of files) {
    if (path.startsWith("blobs/sha256/") && entry.kind === "file") {
      assert.equal(path, `blobs/sha256/${digestOf(entry.content)}`);
    }
  }
  const path = (digest: string) => `blobs/${digest.replace(":", "/")}`;
  const { config: settings, layers } = json(path(manifest.digest));
  for (const { digest, size } of [manifest, settings, ...layers]) {
    const entry = files.get(path(digest));
    assert.equal(entry?.kind === "file" && entry.content.length, size, digest);
  }
  assert.deepEqual(json("manifest.json"), [{
    Config: path(settings.digest),
    RepoTags: [IMAGE_NAME],
    Layers: layers.map(({ digest }: { digest: string }) => path(digest)),
  }]);
  assert.deepEqual(
    json(path(settings.digest)).rootfs.diff_ids,
    layers.map(({ digest }: { digest: string }) => digest),
  );
});

Deno.test("the image holds C libraries, the agent, and no shell or package manager", () => {
  const entries = readImage(archive).layers.flatMap((layer) => readTar(layer));
  const paths = entries.map(({ path }) => path);
  assert.deepEqual(paths.length, new Set(paths).size);
  for (
    const path of ["network-dra", "etc/passwd", "usr/lib/os-release", "var/lib/dpkg/status.d/libc6"]
  ) {
    assert.ok(paths.includes(path), `${path} is missing`);
  }
  const programs = entries.filter(({ kind, mode, path }) =>
    kind === "file" && mode! & 0o111 && !/\.so(\.\d+)*$/.test(path)
  );
  assert.deepEqual(
    programs.map(({ path }) => path).filter((path) => path !== "usr/lib/network-dra/deno"),
    ["network-dra"],
  );
  for (const { path, mode, kind } of entries) {
    // Of what others may write, there is only what everybody may.
    if (kind !== "link" && mode! & 0o022) assert.match(path, /^(var\/)?tmp$/);
    assert.equal(mode! & 0o6000, 0, `${path} is set-uid`);
  }
});

Deno.test("the same tree gives the same image", async () => {
  const again = await buildImage();
  assert.equal(digestOf(again.archive), digestOf(archive));
  assert.equal(json("index.json").manifests[0].digest, again.digest);
});

Deno.test("skopeo, podman and Docker take the image", async (t) => {
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const loaders = await ImageLoaders.create(folder);
  const [{ digest }] = json("index.json").manifests;
  const manifest = json(`blobs/${digest.replace(":", "/")}`);
  const layers = manifest.layers.map((layer: { digest: string }) => layer.digest);
  try {
    await t.step("skopeo, as an OCI archive", async () => {
      const { Digest, Layers } = await loaders.inspect(`oci-archive:${IMAGE_FILE}`);
      assert.deepEqual({ Digest, Layers }, { Digest: digest, Layers: layers });
    });
    await t.step("skopeo, as Docker's archive", async () => {
      // It has no manifest of its own there: a digest is made up.
      assert.deepEqual((await loaders.inspect(`docker-archive:${IMAGE_FILE}`)).Layers, layers);
    });
    await t.step("podman load", async () => {
      const expected = `${manifest.config.digest} ${IMAGE_NAME} ${digest}`;
      assert.equal(await loaders.podman(IMAGE_FILE), expected);
    });
    await t.step("docker load", async () => {
      assert.equal(await loaders.docker(IMAGE_FILE), `${manifest.config.digest} ${IMAGE_NAME}`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the Containerfile says the same of its image", async () => {
  const text = await Deno.readTextFile(new URL("../../Containerfile", import.meta.url));
  // Of the last stage, one instruction a line.
  const lines = text.slice(text.lastIndexOf("\nFROM ")).replaceAll("\\\n", " ").split("\n");
  const instruction = (name: string) =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))
      .join(" ");
  const labels = Object.fromEntries(
    [...instruction("LABEL").matchAll(/(\S+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  );
  const image = JSON.parse(new TextDecoder().decode(readImage(archive).config)).config;
  assert.deepEqual(labels, image.Labels);
  assert.deepEqual(JSON.parse(instruction("ENTRYPOINT")), image.Entrypoint);
  assert.deepEqual(JSON.parse(instruction("CMD")), image.Cmd);
  assert.equal(image.Labels["org.opencontainers.image.version"], config.version);
});

Deno.test("the Containerfile builds from what the builder gets, which names no architecture", async () => {
  const root = new URL("../..", import.meta.url).pathname;
  const read = (path: string) => Deno.readTextFile(join(root, path));
  const folder = await Deno.makeTempDir();
  try {
    for (const [, path] of (await read(".dockerignore")).matchAll(/^!(.+)$/gm)) {
      await Deno.mkdir(join(folder, dirname(path!)), { recursive: true });
      await succeed("cp", ["-r", join(root, path!), join(folder, path!)]);
    }
    const [, command] = (await read("Containerfile")).match(/^RUN deno (.+)$/m)!;
    const args = command!.replace('"$TARGETARCH"', "").trimEnd().split(" ");
    await succeed(Deno.execPath(), [...args, ""], folder);
    // The build has run it.
    assert.ok((await Deno.stat(join(folder, "dist/network-dra"))).isFile);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const version of Object.keys(CONTAINERD) as ContainerdVersion[]) {
  Deno.test(`containerd ${version} imports the image and runs the agent in it`, async (t) => {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const containerd = await Containerd.start({ version, folder });
    const ctr = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(containerd.ctr, {
        args: ["-a", containerd.paths.socket, "-n", "k8s.io", ...args],
        env: { PATH: `${dirname(containerd.runc)}:${Deno.env.get("PATH")}` },
        stdin: "null",
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, out: out!, err: err! };
    };
    try {
      await t.step("by its name and its digest", async () => {
        const imported = await ctr("images", "import", IMAGE_FILE);
        assert.equal(imported.code, 0, imported.err);
        const { out } = await ctr("images", "list", `name==${IMAGE_NAME}`);
        assert.ok(out.includes(json("index.json").manifests[0].digest), out);
      });
      const run = (id: string, ...args: string[]) =>
        ctr(
          ...["run", "--rm", "--read-only", "--cgroup", `${containerd.cgroup}/${id}`],
          ...["--runc-binary", containerd.runc, IMAGE_NAME, id, ...args],
        );
      await t.step("version", async () => {
        assert.deepEqual(await run("version", "/network-dra", "version"), {
          code: 0,
          out: `${config.version}\n`,
          err: "",
        });
      });
      await t.step("a probe", async () => {
        const { code, err } = await run("ready", "/network-dra", "ready", "--driver-name=x");
        assert.equal(code, 1, err);
        assert.match(err, /no agent serves \/var\/lib\/kubelet\/plugins\/x\/dra.sock yet/);
      });
    } finally {
      await containerd.stop();
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  });
}
