/** Units of a duration, in milliseconds. */
const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** The duration in milliseconds; undefined if the text is not one. */
export function milliseconds(given: string): number | undefined {
  const [, count, unit] = /^(\d{1,6})([smh])$/.exec(given) ?? [];
  return unit === undefined ? undefined : Number(count) * UNITS[unit as keyof typeof UNITS];
}
