import { KINDS, listPath, type ListScope } from "./kinds.ts";
import type { ClusterObjects, Kind, Listed, ObjectsByKind } from "./objects.ts";
import { type ObjectSource, ReadError } from "./ports.ts";

/** What is to be read. */
export interface ReadOptions extends ListScope {
  readonly kinds: readonly Kind[];
  readonly signal: AbortSignal;
}

/** Reads each kind once. A kind that cannot be read says why, and the others are read all the same. */
export async function readCluster(
  source: ObjectSource,
  { kinds, signal, ...scope }: ReadOptions,
): Promise<ClusterObjects> {
  const read = await Promise.all(
    kinds.map(async (kind) => [kind, await readKind(source, { kind, scope, signal })] as const),
  );
  return { ...NOTHING_READ, ...Object.fromEntries(read) } as ClusterObjects;
}

/** A cluster of which nothing was asked. */
export const NOTHING_READ = Object.fromEntries(
  Object.keys(KINDS).map((kind) => [kind, { state: "unasked" }]),
) as unknown as ClusterObjects;

async function readKind<K extends Kind>(
  source: ObjectSource,
  { kind, scope, signal }: {
    readonly kind: K;
    readonly scope: ListScope;
    readonly signal: AbortSignal;
  },
): Promise<Listed<ObjectsByKind[K]>> {
  const parse = KINDS[kind].parse as (object: unknown) => ObjectsByKind[K] | undefined;
  const items: ObjectsByKind[K][] = [];
  try {
    for await (const page of source.list(listPath(kind, scope), signal)) {
      for (const object of page.items) {
        const item = parse(object);
        if (item !== undefined) items.push(item);
      }
    }
    return { state: "read", items };
  } catch (error) {
    return unread(kind, error);
  }
}

/** Why a kind cannot be read. @throws what is not a ReadError */
export function unread(kind: Kind, error: unknown): Listed<never> {
  if (!(error instanceof ReadError)) throw error;
  return { state: "unread", unread: { kind, cause: error.reason, message: error.message } };
}
