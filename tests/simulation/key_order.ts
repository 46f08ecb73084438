/** The value as kubectl sends it: with the keys of all objects in alphabetical order. */
export function withSortedKeys<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withSortedKeys) as T;
  const entries = Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, each]) => [key, withSortedKeys(each)])) as T;
}

/** Whether the keys of all objects in a value are in that order. */
export function hasSortedKeys(value: unknown): boolean {
  return JSON.stringify(value) === JSON.stringify(withSortedKeys(value));
}
