/** Lists of pods that are merged by name, as Kubernetes does; all others are replaced. */
const BY_NAME = ["containers", "initContainers", "resourceClaims"];

/** What a strategic merge patch makes of an object, as far as patches of pods need. */
export function merged(before: unknown, patch: unknown, key = ""): unknown {
  if (Array.isArray(patch)) {
    if (!BY_NAME.includes(key) || !Array.isArray(before)) return patch;
    const left = [...patch];
    const result = before.map((item) => {
      const at = left.findIndex(({ name }) => name === item.name);
      return at < 0 ? item : merged(item, left.splice(at, 1)[0]);
    });
    return [...result, ...left];
  }
  if (typeof patch !== "object" || patch === null) return patch;
  const result: Record<string, unknown> = { ...(before as object | undefined) };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value, name);
  }
  return result;
}

/** A value without the maps in it that are empty. */
export function filled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, filled(each)] as const)
      .filter(([, each]) => JSON.stringify(each) !== "{}"),
  );
}
