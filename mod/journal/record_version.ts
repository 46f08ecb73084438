type Fields = Readonly<Record<string, unknown>>;

/** How the records of one version become those of the next. */
export interface Migration {
  readonly claim: (record: Fields) => Fields;
  readonly attachment: (record: Fields) => Fields;
}

/**
 * The first turns records of version 1 into version 2, and so on. To be added to when a record changes
 * so that an earlier agent would misread it; a field that may be absent needs no new version.
 */
const MIGRATIONS: readonly Migration[] = [];

/** The version that is written. */
export const RECORD_VERSION = MIGRATIONS.length + 1;

/**
 * A record of this or an earlier version as one of this version.
 *
 * @throws Error when it has no version, or was written by a later release
 */
export function migrated(
  json: unknown,
  kind: keyof Migration,
  migrations: readonly Migration[] = MIGRATIONS,
): unknown {
  const current = migrations.length + 1;
  const { version } = (json ?? {}) as Fields;
  if (!Number.isInteger(version) || (version as number) < 1) {
    throw new Error(`version: must be a number from 1 to ${current}`);
  }
  if (version as number > current) {
    throw new Error(
      `version: ${version} was written by a later release; this one reads versions up to ${current}`,
    );
  }
  return migrations.slice(version as number - 1).reduce<Fields>(
    (record, migration, i) => ({ ...migration[kind](record), version: version as number + i + 1 }),
    json as Fields,
  );
}
