import {
  cacheFolder,
  fetchPinnedPackage,
  type PinnedPackage,
} from "../../mod/simulator/debian_package.ts";
import packages from "./packages.json" with { type: "json" };
import { readTar, type TarEntry } from "../../mod/tar/tar.ts";

const SUITE = "bookworm";

/** What nothing in the image reads: documents other than licences, login shells, iconv's tables. */
const LEFT_OUT = [
  /^usr\/share\/(?!(doc|common-licenses)(\/|$))/,
  /^usr\/share\/doc\/[^/]+\/(?!copyright$)/,
  /\/gconv(\/|$)/,
  /^etc\/(default|dpkg|issue(\.net)?|profile\.d|skel|update-motd\.d)(\/|$)/,
  /^(boot|home|usr\/(games|include|src)|var\/(backups|cache|local|lock|log|mail|spool))(\/|$)/,
];

/** What a program needs of a system besides its libraries. */
const OWN_FILES: Readonly<Record<string, string>> = {
  "etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "etc/passwd":
    "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
};

/** The packages of the base with their checksums. @param architecture as Debian names it */
export function basePackages(architecture: string): PinnedPackage[] {
  return packages.map(({ name, version, sha256 }) => {
    const sums: Readonly<Record<string, string | undefined>> = sha256;
    const found = Object.entries(sums).find(([of]) => of === architecture || of === "all");
    if (!found?.[1]) {
      throw new Error(`deploy/image/packages.json has no checksum of ${name} for ${architecture}`);
    }
    return { name, version, suite: SUITE, architecture: found[0], sha256: found[1] };
  });
}

/**
 * The files of the base, by path: glibc and libgcc as gcr.io/distroless/cc has them, from Debian's
 * packages, and what is told of a Debian system. Neither a shell nor a package manager; scanners
 * find the packages in var/lib/dpkg/status.d.
 */
export async function baseFiles(
  architecture: string,
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<TarEntry[]> {
  const entries = new Map<string, TarEntry>();
  const put = (entry: TarEntry) => entries.set(entry.path, entry);
  const text = (path: string, content: string) =>
    put({ kind: "file", path, content: new TextEncoder().encode(content) });
  const fetched = basePackages(architecture).map(async (pinned) => ({
    name: pinned.name,
    archive: await fetchPinnedPackage(pinned, { cache: cacheFolder(), progress }),
  }));
  for (const { name, archive } of await Promise.all(fetched)) {
    for (const entry of readTar(await dpkgDeb("--fsys-tarfile", archive))) {
      if (entry.path !== "" && !LEFT_OUT.some((each) => each.test(entry.path))) put(entry);
    }
    const control = new TextDecoder().decode(await dpkgDeb("--field", archive));
    text(`var/lib/dpkg/status.d/${name}`, control);
  }
  put({ kind: "folder", path: "var/lib/dpkg/status.d" });
  for (const [path, content] of Object.entries(OWN_FILES)) text(path, content);
  return [...entries.values()].toSorted((a, b) => a.path < b.path ? -1 : 1);
}

async function dpkgDeb(option: string, archive: string): Promise<Uint8Array> {
  const { success, stdout, stderr } = await new Deno.Command("dpkg-deb", {
    args: [option, archive],
    stdin: "null",
  }).output();
  if (success) return stdout;
  throw new Error(`dpkg-deb ${option} ${archive}: ${new TextDecoder().decode(stderr).trim()}`);
}
