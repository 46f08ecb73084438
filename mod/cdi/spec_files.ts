import { join } from "node:path";
import type { CdiFiles } from "../agent/ports.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { removeDurably, writeDurably } from "../files/durable.ts";
import { assertRealFolder } from "../files/own_folder.ts";

/** The CDI specification version that has all we use, and that containerd 1.7 reads. */
const CDI_VERSION = "0.5.0";
const CLASS = "claim";

/**
 * One CDI spec file a claim, `<folder>/<driver>_<claim uid>.json`, with one device
 * `<driver>/claim=<claim uid>` (design decision 11). The runtime refuses to create a container whose
 * device has no file, whether this agent runs or not.
 */
export class CdiSpecFiles implements CdiFiles {
  readonly #folder: string;
  readonly #driver: string;

  /** @param folder where the runtime looks for CDI specs; empty turns CDI off */
  constructor(folder: string, { driver }: { readonly driver: string }) {
    this.#folder = folder;
    this.#driver = driver;
  }

  deviceId(claimUid: string): string | undefined {
    return this.#folder === "" ? undefined : `${this.#driver}/${CLASS}=${claimUid}`;
  }

  claimUid(deviceId: string): string | undefined {
    const prefix = `${this.#driver}/${CLASS}=`;
    return deviceId.startsWith(prefix) ? deviceId.slice(prefix.length) : undefined;
  }

  async write(claim: ClaimRef): Promise<void> {
    if (this.#folder === "") return;
    const spec = {
      cdiVersion: CDI_VERSION,
      kind: `${this.#driver}/${CLASS}`,
      devices: [{
        name: claim.uid,
        // CDI wants a device to change something: a variable that tells the container its claim.
        containerEdits: { env: [`${variable(claim.uid)}=${claim.namespace}/${claim.name}`] },
      }],
    };
    const content = JSON.stringify(spec, null, 2) + "\n";
    try {
      await assertRealFolder(this.#folder);
      await writeDurably(this.#path(claim.uid), content, { mode: 0o644 });
    } catch (error) {
      // The first spec file of the node, or someone cleared the folder away.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await Deno.mkdir(this.#folder, { recursive: true, mode: 0o755 });
      await writeDurably(this.#path(claim.uid), content, { mode: 0o644 });
    }
  }

  async remove(claimUid: string): Promise<void> {
    if (this.#folder === "") return;
    const path = this.#path(claimUid);
    for (const file of [path, `${path}.tmp`]) await removeDurably(file);
  }

  async list(): Promise<string[]> {
    if (this.#folder === "") return [];
    const uids = new Set<string>();
    try {
      for await (const { name, isFile } of Deno.readDir(this.#folder)) {
        if (!isFile) continue;
        // A write that a crash cut off counts too, so that remove() clears it away.
        const uid = name.match(/\.json(\.tmp)?$/) && this.#uidOf(name);
        if (uid) uids.add(uid);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return [...uids];
  }

  #uidOf(name: string): string | undefined {
    const prefix = `${this.#driver}_`;
    if (!name.startsWith(prefix)) return undefined;
    try {
      return decodeURIComponent(name.slice(prefix.length).replace(/\.json(\.tmp)?$/, ""));
    } catch {
      // A file that is not ours, whatever it is called.
      return undefined;
    }
  }

  /** No driver name holds "_", so that no driver's files look like another's. */
  #path(claimUid: string): string {
    return join(this.#folder, `${this.#driver}_${encodeURIComponent(claimUid)}.json`);
  }
}

/** Named by claim, so that the claims of one container do not overwrite each other's. */
function variable(claimUid: string): string {
  return `NETWORK_CLAIM_${claimUid.replaceAll(/[^A-Za-z0-9]/g, "_").toUpperCase()}`;
}
