import { parseDocument } from "yaml";
import { readDocument } from "../yaml/document.ts";

/**
 * Reads YAML as Kubernetes does (1.1: `no` is false).
 *
 * @throws Error that says what is wrong and where, in one line
 */
export function parseConfigYaml(text: string): unknown {
  // A thousand of the library's own "pretty" messages take seconds.
  const options = { version: "1.1", uniqueKeys: true, prettyErrors: false } as const;
  const read = readDocument(text, parseDocument(text, options));
  if ("value" in read) return read.value;
  const { line, column, message } = read.problem;
  throw new Error(`line ${line}, column ${column}: ${message}`);
}
