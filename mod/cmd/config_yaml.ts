import { isScalar, parseDocument, visit } from "yaml";
import { errorMessage } from "../async/error_message.ts";

/**
 * Reads YAML as Kubernetes does (1.1: `no` is false).
 *
 * Keys must be plain: the library writes one that is a map or a list as text again, which takes hours
 * where such keys stand within each other (a thousand of "? " do it).
 *
 * @throws Error that says what is wrong, in one line
 */
export function parseConfigYaml(text: string): unknown {
  // The library's own "pretty" messages cost seconds where there are a thousand of them.
  const options = { version: "1.1", uniqueKeys: true, prettyErrors: false } as const;
  const document = parseDocument(text, options);
  const [problem] = document.errors;
  if (problem) {
    const line = text.slice(0, problem.pos[0]).split("\n").length;
    throw new Error(`${shortened(problem.message)} at line ${line}`);
  }
  visit(document, {
    Pair(_, { key }) {
      if (key !== null && !isScalar(key)) throw new Error("a key must be a plain value");
    },
  });
  try {
    return document.toJS();
  } catch (error) {
    // An alias that leads nowhere, or to too much.
    throw new Error(shortened(errorMessage(error)));
  }
}

/** Messages repeat what stands in the file. */
function shortened(message: string): string {
  const [line = ""] = message.split("\n");
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}
