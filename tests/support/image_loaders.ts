/** Programs of others that take images: skopeo, podman and Docker, from Debian's packages. */
import { join } from "node:path";
import { cacheFolder, fetchDebianPackage } from "../../mod/simulator/debian_package.ts";

const SUITE = "bookworm";
const PACKAGES = [
  ...["skopeo", "podman", "docker.io"],
  // What they run, and their libraries.
  ...["conmon", "runc", "containerd"],
  ...["libassuan0", "libdevmapper1.02.1", "libgpgme11", "libsubid4"],
] as const;

/** The folder of each package's files. */
type Folders = Readonly<Record<(typeof PACKAGES)[number], string>>;

export async function fetchImageLoaders(
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<Folders> {
  const options = { suite: SUITE, cache: cacheFolder(), progress };
  return Object.fromEntries(
    await Promise.all(
      PACKAGES.map(async (name) => [name, await fetchDebianPackage(name, options)]),
    ),
  );
}

/** The programs with all that they keep in one folder, which is empty at first. */
export class ImageLoaders {
  readonly #folder: string;
  readonly #folders: Folders;

  private constructor(folder: string, folders: Folders) {
    this.#folder = folder;
    this.#folders = folders;
  }

  static async create(folder: string): Promise<ImageLoaders> {
    const folders = await fetchImageLoaders();
    const files = {
      "policy.json": JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }),
      "storage.conf":
        `[storage]\ndriver = "vfs"\nrunroot = "${folder}/run"\ngraphroot = "${folder}/graph"\n`,
      "containers.conf": `
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["${folders.conmon}/usr/bin/conmon"]
events_logger = "none"
runtime = "runc"
[engine.runtimes]
runc = ["${folders.runc}/usr/sbin/runc"]
`,
    };
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), content);
    }
    return new ImageLoaders(folder, folders);
  }

  /** What skopeo makes of a transport and a file, such as `oci-archive:FILE`. */
  async inspect(image: string): Promise<{ Digest: string; Layers: string[] }> {
    const args = ["--insecure-policy", "inspect", image];
    return JSON.parse(await this.#run(join(this.#folders.skopeo, "usr/bin/skopeo"), args));
  }

  /** The id, the name and the digest of the one image after `podman load`. */
  async podman(archive: string): Promise<string> {
    const podman = join(this.#folders.podman, "usr/bin/podman");
    const policy = join(this.#folder, "policy.json");
    await this.#run(podman, ["load", "--signature-policy", policy, "--input", archive]);
    return await this.#run(podman, ["images", "--no-trunc", "--format", `${ROW} {{.Digest}}`]);
  }

  /** The id and the name of the one image after `docker load`. */
  async docker(archive: string): Promise<string> {
    const folder = this.#folder;
    const bin = join(this.#folders["docker.io"], "usr/bin/docker");
    const socket = `unix://${folder}/docker.sock`;
    const daemon = new Deno.Command(join(this.#folders["docker.io"], "usr/sbin/dockerd"), {
      args: [
        ...["--host", socket, "--data-root", `${folder}/docker`, "--exec-root", `${folder}/exec`],
        ...["--pidfile", `${folder}/docker.pid`, "--storage-driver", "vfs"],
        ...["--bridge", "none", "--iptables=false", "--ip6tables=false"],
      ],
      env: this.#env(),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      for (let tries = 0; tries < 600; tries++) {
        if (await Deno.lstat(`${folder}/docker.sock`).then(() => true, () => false)) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await this.#run(bin, ["--host", socket, "load", "--input", archive]);
      const list = ["images", "--no-trunc", "--format", ROW];
      return await this.#run(bin, ["--host", socket, ...list]);
    } finally {
      daemon.kill("SIGTERM");
      await daemon.status;
    }
  }

  #env(): Record<string, string> {
    const { runc, containerd } = this.#folders;
    const libraries = Object.values(this.#folders).flatMap((folder) =>
      ["lib", "usr/lib"].map((lib) => join(folder, lib, `${Deno.build.arch}-linux-gnu`))
    );
    return {
      HOME: this.#folder,
      PATH: `${containerd}/usr/bin:${runc}/usr/sbin:${Deno.env.get("PATH")}`,
      LD_LIBRARY_PATH: libraries.join(":"),
      CONTAINERS_CONF: join(this.#folder, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(this.#folder, "storage.conf"),
    };
  }

  async #run(program: string, args: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      env: this.#env(),
      stdin: "null",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    if (success) return out!;
    throw new Error(`${program} ${args.join(" ")}: ${err}`);
  }
}

const ROW = "{{.ID}} {{.Repository}}:{{.Tag}}";
