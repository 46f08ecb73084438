import { join } from "node:path";
import type { LeaseStatus, StatusDocument } from "./document.ts";

/** Where the IPAM plugin host-local keeps its leases, unless `dataDir` names another folder. */
const LEASES = "/var/lib/cni/networks";
/** Of leases nobody knows, so many are told. */
const MOST_LEASES = 1_000;

/**
 * The leases of host-local for sandboxes that the agent does not know, of the networks that it has
 * attachments of: leases of other networks are other programs'. Changes nothing.
 *
 * @param again asks the agent again: a sandbox may be newer than the document
 */
export async function leasesWithoutSandbox(
  document: StatusDocument,
  again: () => Promise<StatusDocument>,
): Promise<LeaseStatus[]> {
  const folder = join(chrootOf(document), LEASES);
  const byNetwork = Map.groupBy(document.attachments, ({ network }) => network);
  const all = (await Promise.all(
    [...byNetwork].map(([network, attachments]) => leasesOf(folder, { network, attachments })),
  )).flat();
  const without = unknownTo(document, all);
  if (without.length === 0) return [];
  const later = unknownTo(await again(), without);
  // What was detached meanwhile is no longer there.
  const there = await Promise.all(later.slice(0, MOST_LEASES).map((lease) => readLease(lease)));
  return there.filter((lease) => lease !== undefined);
}

function unknownTo({ sandboxes, attachments }: StatusDocument, leases: readonly LeaseStatus[]) {
  const known = new Set([
    ...sandboxes.map(({ id }) => id),
    ...attachments.map(({ sandbox }) => sandbox),
  ]);
  return leases.filter(({ sandbox }) => !known.has(sandbox));
}

/** Where plugins see the node's root folder. */
function chrootOf({ settings }: StatusDocument): string {
  const value = settings.find(({ name }) => name === "chrootDir")?.value;
  return typeof value === "string" && value.startsWith("/") ? value : "/";
}

/** Those of addresses that no attachment has: of a node with many pods, most files need no reading. */
async function leasesOf(
  folder: string,
  { network, attachments }: Pick<StatusDocument, "attachments"> & { readonly network: string },
): Promise<LeaseStatus[]> {
  // A name is one component of a path: parameters are checked for that.
  const own = join(folder, network);
  const held = new Set(
    attachments.flatMap(({ addresses }) => addresses.map((each) => each.split("/")[0]!)),
  );
  try {
    const names = await Array.fromAsync(Deno.readDir(own), ({ name }) => name);
    const leases = names.filter((name) => /^[0-9a-f.:]+$/i.test(name) && !held.has(name))
      .map((address) => readLease({ network, address, path: join(own, address) }));
    return (await Promise.all(leases)).filter((lease) => lease !== undefined);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** A lease is a file named for its address: the sandbox, and in a second line the interface. */
async function readLease(
  { network, address, path }: Pick<LeaseStatus, "network" | "address" | "path">,
): Promise<LeaseStatus | undefined> {
  try {
    const [sandbox = ""] = (await Deno.readTextFile(path)).split(/\r?\n/);
    return sandbox === "" ? undefined : { network, address, sandbox, path };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
