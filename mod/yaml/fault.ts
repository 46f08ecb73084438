import { type Document, type Scalar, visit, type YAMLError } from "yaml";

/** What the parser says of Helm's templates is beside the point. */
export const TEMPLATE = 'this is a template of Helm\'s: render it first with "helm template"';

/** What is wrong with a text, and what to do. */
export interface Fault {
  /** Where in the text; where the parser stopped unless told. */
  readonly offset?: number;
  readonly message: string;
}

/**
 * What an error of the parser means for whoever wrote the text, for the usual mistakes.
 *
 * @param text the whole text, of which the document may be a part
 * @returns undefined where the parser's own words are best
 */
export function faultOf(
  text: string,
  document: Document.Parsed,
  error: YAMLError,
): Fault | undefined {
  const { code, message, pos: [offset] } = error;
  const line = lineAt(text, offset);
  const indentation = line.match(/^\s*/)![0];
  const start = startOf(text, offset);
  const at = start + indentation.length;
  if (indentation.includes("\t")) {
    const message = "a tab in the indentation, where YAML takes only spaces: replace it by spaces";
    return { offset: start + indentation.indexOf("\t"), message };
  }
  if (/\{\{/.test(line)) return { message: TEMPLATE };
  const words = line.trim();
  if (words.startsWith("```")) {
    return { offset: at, message: "this line is Markdown's, not YAML: remove it" };
  }
  const quote = isAboutQuotes(error) ? lastQuote(document, offset) : undefined;
  if (quote !== undefined) return quoteFault(text, quote);
  switch (code) {
    case "MULTIPLE_DOCS": {
      const message = `must be one YAML document: a second one begins here`;
      return { message };
    }
    case "DUPLICATE_KEY": {
      const key = words.replace(/^(- +)+/, "").replace(/\s*:.*$/s, "");
      return { message: `${key} appears twice in the same object: keep one of them` };
    }
    case "BAD_SCALAR_START": {
      const sign = JSON.stringify(text[offset]);
      return { message: `a value cannot begin with ${sign}: put the value in quotes` };
    }
    case "BAD_DQ_ESCAPE":
      return { message: `${message}: write \\\\ for a backslash, or use single quotes` };
    case "BLOCK_IN_FLOW":
      return { message: "a comma is missing before this, or a bracket is not closed" };
    case "BLOCK_AS_IMPLICIT_KEY": {
      const value = text.slice(offset).split("\n")[0]!;
      if (/:\s+\S/.test(value) && !words.startsWith("- ")) {
        return { message: `the value holds ": ": put it in quotes, as in ${inQuotes(value)}` };
      }
      return misplaced(text, nextLine(text, offset));
    }
  }
  const noSpace = words.match(/^((?:- +)*)([\w.\/-]+):(?=[^\s:\/])(.*)$/);
  if (noSpace && isKeyProblem(message)) {
    const [, dash, key, value] = noSpace;
    const advice = inQuotes(`${dash}${key}: ${value}`);
    return { offset: at, message: `a space is missing after the colon: write ${advice}` };
  }
  const noDash = words.match(/^-([\w"'].*)$/);
  if (noDash) {
    const advice = inQuotes(`- ${noDash[1]}`);
    return { offset: at, message: `a space is missing after the dash: write ${advice}` };
  }
  if (isKeyProblem(message)) {
    if (/^--+$/.test(words)) {
      return { offset: at, message: `"${words}" is not YAML: documents are separated by "---"` };
    }
    const next = text.slice(start).split("\n")[1] ?? "";
    const name = words.replace(/^(- +)+/, "");
    if (/^[\w.-]+$/.test(name) && next.search(/\S/) > indentation.length) {
      return { offset: at, message: `a colon is missing: write "${name}:"` };
    }
    return { offset: at, message: `${inQuotes(words)} is not a field: write "name: value"` };
  }
  const closing = message.match(/^Unexpected flow-(?:seq|map)-end token .*(".")$/);
  if (closing) return { message: `${closing[1]} closes nothing: remove it` };
  if (/^Flow (map|sequence)/.test(message)) {
    const [open, close] = message.startsWith("Flow map") ? "{}" : "[]";
    return { message: `the "${open}" above is not closed: add "${close}", or indent this line` };
  }
  if (code === "BAD_INDENT" || message.startsWith("Sequence item without")) {
    return misplaced(text, offset);
  }
  return undefined;
}

function isAboutQuotes({ code, message }: YAMLError): boolean {
  return code === "MISSING_CHAR" && /quote/.test(message) ||
    code === "UNEXPECTED_TOKEN" && /at node end/.test(message);
}

/** Whether the parser took something for a key that is none. */
function isKeyProblem(message: string): boolean {
  return message.startsWith("Implicit");
}

/** Where the last quoted text before an offset begins. */
function lastQuote(document: Document.Parsed, offset: number): number | undefined {
  let found: number | undefined;
  visit(document, {
    Scalar(_, node) {
      const { type, range } = node as Scalar.Parsed;
      if (type?.startsWith("QUOTE") && range[0] < offset) found = range[0];
    },
  });
  return found;
}

/** A quote that nothing closes on its line, or one that is closed before its value ends. */
function quoteFault(text: string, quote: number): Fault {
  const sign = text[quote]!;
  const isClosed = text.slice(quote + 1).split("\n", 1)[0]!.includes(sign);
  const inside = sign === "'" ? "''" : '\\"';
  const message = isClosed
    ? `text follows after the closing quote (${sign}): put the whole value in quotes, and write ` +
      `${inside} for a quote in it`
    : `the quote (${sign}) that opens here is not closed: add ${sign} at the end of the value`;
  return { offset: quote, message };
}

/** A line that is indented like none of those above that it could belong to. */
function misplaced(text: string, offset: number): Fault {
  const start = startOf(text, offset);
  const line = lineAt(text, offset);
  const spaces = line.match(/^ */)![0].length;
  const fitting = indentations(text.slice(0, start));
  const others = fitting.filter((each) => each !== spaces);
  const advice = others.length === 0
    ? "indent it like the lines that it belongs with"
    : `those above begin after ${orOf(others)}: indent it like the lines that it belongs with`;
  return {
    offset: start + spaces,
    message: `wrong indentation (${spaces} ${spaces === 1 ? "space" : "spaces"}): ${advice}`,
  };
}

/** Those of the lines above to which a line can belong, the innermost first. */
function indentations(above: string): number[] {
  const found: number[] = [];
  for (const line of above.split("\n").reverse()) {
    if (/^---/.test(line)) break;
    if (/^\s*(#|$)/.test(line)) continue;
    const least = found.at(-1) ?? Infinity;
    // The fields of an item of a list stand behind its dash.
    const columns = [line.match(/^ *(?:- +)*/)![0].length, line.search(/\S/)];
    found.push(...new Set(columns.filter((each) => each < least)));
    if (found.at(-1) === 0) break;
  }
  return found;
}

function orOf(numbers: readonly number[]): string {
  const [last, ...rest] = numbers;
  return rest.length === 0 ? `${last}` : `${rest.toReversed().join(", ")} or ${last}`;
}

/** Text in the quotes that it does not hold, and not much of it. */
function inQuotes(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  const sign = short.includes('"') ? "'" : '"';
  return `${sign}${short.trim()}${sign}`;
}

export function startOf(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

export function lineAt(text: string, offset: number): string {
  return text.slice(startOf(text, offset)).split("\n", 1)[0]!;
}

/** The offset of the line that follows, or of this one where none does. */
function nextLine(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end < 0 || end + 1 >= text.length ? offset : end + 1;
}
