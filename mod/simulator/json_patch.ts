import { isDeepStrictEqual } from "node:util";

/** One operation of a JSON Patch (RFC 6902), of those that are known here. */
export interface JsonPatchOperation {
  readonly op: string;
  /** A JSON Pointer (RFC 6901). */
  readonly path: string;
  readonly value?: unknown;
}

/**
 * The document after the operations `test`, `add`, `replace` and `remove`. The one that is given is
 * not changed.
 *
 * @throws Error that says which operation does not apply
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const patch = [{ op: "test", path: "/n", value: 1 }, { op: "add", path: "/list/-", value: "b" }];
 * assert.deepEqual(applyJsonPatch({ n: 1, list: ["a"] }, patch), { n: 1, list: ["a", "b"] });
 * ```
 */
export function applyJsonPatch<T>(document: T, operations: readonly JsonPatchOperation[]): T {
  const patched = structuredClone(document);
  for (const { op, path, value } of operations) {
    const [, ...keys] = path.split("/").map((key) =>
      key.replaceAll("~1", "/").replaceAll("~0", "~")
    );
    const last = keys.pop();
    const missing = () => new Error(`${op} operation does not apply: ${path}: missing value`);
    if (last === undefined) throw missing();
    let parent: unknown = patched;
    for (const key of keys) parent = member(parent, key);
    if (typeof parent !== "object" || parent === null) throw missing();
    const found = member(parent, last);
    if (op === "test") {
      if (!isDeepStrictEqual(found, value)) throw new Error(`testing value ${path} failed`);
      continue;
    }
    if (op !== "add" && found === undefined) throw missing();
    change(parent as Record<string, unknown> | unknown[], { op, key: last, value });
  }
  return patched;
}

function member(parent: unknown, key: string): unknown {
  return typeof parent === "object" && parent !== null
    ? (parent as Record<string, unknown>)[key]
    : undefined;
}

function change(
  parent: Record<string, unknown> | unknown[],
  { op, key, value }: { readonly op: string; readonly key: string; readonly value: unknown },
): void {
  const isList = Array.isArray(parent);
  const at = isList && key === "-" ? parent.length : Number(key);
  switch (op) {
    case "add":
      if (isList) parent.splice(at, 0, structuredClone(value));
      else parent[key] = structuredClone(value);
      return;
    case "replace":
      if (isList) parent[at] = structuredClone(value);
      else parent[key] = structuredClone(value);
      return;
    case "remove":
      if (isList) parent.splice(at, 1);
      else delete parent[key];
      return;
    default:
      throw new Error(`unexpected operation ${JSON.stringify(op)}`);
  }
}
