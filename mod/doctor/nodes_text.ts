/** So many names are written out. */
const MOST_NAMES = 10;

/** `1 claim`, `2 claims`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}

/** `node a`, or `nodes a, b and 3 more`. */
export function nodesText(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return `${names.length === 1 ? "node" : "nodes"} ${names.slice(0, MOST_NAMES).join(", ")}${more}`;
}
