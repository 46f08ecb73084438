import { join } from "node:path";
import { ROOT } from "../executable/deno.ts";
import { tar } from "../../mod/tar/tar.ts";
import { gzipStored } from "./gzip.ts";

/** The name by which kubectl finds the plugin, and by which the program knows that it is one. */
const PLUGIN = "kubectl-network_dra";

/** The archive that Krew unpacks: the executable by the plugin's name, and the license. */
export async function krewArchive(executable: string): Promise<Uint8Array<ArrayBuffer>> {
  return gzipStored(tar([
    { kind: "file", path: PLUGIN, mode: 0o755, content: await Deno.readFile(executable) },
    { kind: "file", path: "LICENSE", content: await Deno.readFile(join(ROOT, "LICENSE")) },
  ]));
}

/** What a release puts into the manifest. */
export interface KrewRelease {
  readonly version: string;
  /** As Go, and so Krew, names it: `amd64`. */
  readonly architecture: string;
  /** The archive's file name and its checksum. */
  readonly archive: string;
  readonly sha256: string;
}

/** The manifest of deploy/krew with a release's values. */
export async function krewManifest(
  { version, architecture, archive, sha256 }: KrewRelease,
): Promise<string> {
  const template = await Deno.readTextFile(join(ROOT, "deploy/krew/network-dra.yaml"));
  return template
    .replace(/^#.*\n/, "# The manifest of the kubectl plugin for Krew.\n")
    .replaceAll("{VERSION}", version)
    .replaceAll("{ARCHITECTURE}", architecture)
    .replaceAll("{ARCHIVE}", archive)
    .replaceAll("{SHA256}", sha256);
}
