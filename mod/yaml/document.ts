import { type Document, isScalar, visit, type YAMLError } from "yaml";
import { errorMessage } from "../async/error_message.ts";
import { faultOf, lineAt, startOf, TEMPLATE } from "./fault.ts";

/** What is wrong with a YAML text, where, and what to do. */
export interface YamlProblem {
  /** From 1 on, as the column. */
  readonly line: number;
  readonly column: number;
  /** One line. */
  readonly message: string;
}

/**
 * The value of a document that was parsed, or its first problem.
 *
 * Keys must be plain: the library writes one that is a map or a list as text again, which takes hours
 * where such keys stand within each other (a thousand of "? " do it).
 *
 * @param text the whole text, of which the document may be a part
 */
export function readDocument(
  text: string,
  document: Document.Parsed,
): { readonly value: unknown } | { readonly problem: YamlProblem } {
  const problem = (offset: number, message: string) => ({
    problem: { ...placeOf(text, offset), message: shortened(message) },
  });
  const [error] = document.errors;
  if (error) {
    const { offset = error.pos[0], message } = faultOf(text, document, error) ??
      { message: parsersWords(error) };
    return problem(offset, message);
  }
  const key = keyThatIsNotPlain(document);
  if (key !== undefined) {
    const isTemplate = lineAt(text, key).includes("{{");
    return problem(key, isTemplate ? TEMPLATE : "a key must be a plain value");
  }
  try {
    return { value: document.toJS() };
  } catch (error) {
    // An alias that leads nowhere, or to too much.
    const alias = openAlias(document);
    if (!alias) return problem(document.range[0], errorMessage(error));
    const message = `a value that begins with * refers to an anchor, and there is no ` +
      `&${shortened(alias.source, 40)}: put it in quotes if it is text`;
    return problem(alias.offset, message);
  }
}

function keyThatIsNotPlain(document: Document.Parsed): number | undefined {
  let found: number | undefined;
  visit(document, {
    Pair(_, { key }) {
      if (key === null || isScalar(key)) return undefined;
      found = offsetOf(key);
      return visit.BREAK;
    },
  });
  return found;
}

/** The first alias of something that is not there. */
function openAlias(document: Document.Parsed) {
  let found: { readonly offset: number; readonly source: string } | undefined;
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return undefined;
      found = { offset: offsetOf(alias), source: alias.source };
      return visit.BREAK;
    },
  });
  return found;
}

/** Of the parser's own message; it repeats what stands in the file. */
function parsersWords({ message }: YAMLError): string {
  const [line = ""] = message.split("\n");
  return line.replace(/ at line \d+, column \d+:?$/, "");
}

function shortened(text: string, most = 300): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function offsetOf(node: unknown): number {
  return (node as { range?: readonly number[] | null }).range?.[0] ?? 0;
}

function placeOf(text: string, offset: number): { line: number; column: number } {
  const start = startOf(text, offset);
  return { line: text.slice(0, start).split("\n").length, column: offset - start + 1 };
}
