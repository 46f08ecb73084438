import assert from "node:assert/strict";
import { parseDocument } from "yaml";
import { readDocument } from "./document.ts";

/** `LINE:COLUMN: MESSAGE`, or the value as JSON. */
function read(text: string): string {
  const found = readDocument(text, parseDocument(text, { version: "1.1", prettyErrors: false }));
  if ("value" in found) return JSON.stringify(found.value);
  const { line, column, message } = found.problem;
  return `${line}:${column}: ${message}`;
}

Deno.test("readDocument() says where the usual mistakes are, and what to write", () => {
  const TAB = "a tab in the indentation, where YAML takes only spaces: replace it by spaces";
  const cases: Record<string, string> = {
    "a: {b: [c]}\n": '{"a":{"b":["c"]}}',
    "a:\n\tb: 1\n": `2:1: ${TAB}`,
    "a: {\n\tb: 1\n}\n": `2:1: ${TAB}`,
    "kind:Pod\nspec: {}\n": '1:1: a space is missing after the colon: write "kind: Pod"',
    "a:\n  b: c\n  name:lan\n": '3:3: a space is missing after the colon: write "name: lan"',
    'a:\n  name:"x"\n  b: c\n': "2:3: a space is missing after the colon: write 'name: \"x\"'",
    "a:\n  - b\n  -c\n": '3:3: a space is missing after the dash: write "- c"',
    "a:\n  b: 1\nc\n": '3:1: "c" is not a field: write "name: value"',
    "metadata\n  name: lan\n": '1:1: a colon is missing: write "metadata:"',
    'a: "x\nb: 2\n':
      '1:4: the quote (") that opens here is not closed: add " at the end of the value',
    "a: 'x\nb: 'y'\n":
      "1:4: the quote (') that opens here is not closed: add ' at the end of the value",
    "a: 'it's'\n":
      "1:4: text follows after the closing quote ('): put the whole value in quotes, " +
      "and write '' for a quote in it",
    "a:\n  b: 1\n c: 2\n": "3:2: wrong indentation (1 space): those above begin after 0 or 2: " +
      "indent it like the lines that it belongs with",
    "a:\n  b: 1\n    c: 2\n":
      "3:5: wrong indentation (4 spaces): those above begin after 0 or 2: " +
      "indent it like the lines that it belongs with",
    "a:\n  - b: 1\n   c: 2\n":
      "3:4: wrong indentation (3 spaces): those above begin after 0, 2 or " +
      "4: indent it like the lines that it belongs with",
    "a: b: c\n": '1:4: the value holds ": ": put it in quotes, as in "b: c"',
    "a: @b\n": '1:4: a value cannot begin with "@": put the value in quotes',
    "a: *.b\n":
      "1:4: a value that begins with * refers to an anchor, and there is no &.b: put it " +
      "in quotes if it is text",
    "a: {b: 1\nc: 2\n": '2:1: the "{" above is not closed: add "}", or indent this line',
    "a: {b: 1 c: 2}\n": "1:8: a comma is missing before this, or a bracket is not closed",
    "a: [b]]\n": '1:7: "]" closes nothing: remove it',
    'a: "\\d"\n':
      "1:5: Invalid escape sequence \\d: write \\\\ for a backslash, or use single quotes",
    "a: 1\nb: 2\na: 3\n": "3:1: a appears twice in the same object: keep one of them",
    "a: {{ .Values.b }}\n":
      '1:5: this is a template of Helm\'s: render it first with "helm template"',
    "```yaml\na: 1\n```\n": "1:1: this line is Markdown's, not YAML: remove it",
    "a: 1\n--\nb: 2\n": '2:1: "--" is not YAML: documents are separated by "---"',
    // The parser's own words.
    "a: &\n": "1:4: Anchor cannot be an empty string",
  };
  for (const [text, says] of Object.entries(cases)) assert.equal(read(text), says, text);
});

Deno.test("readDocument() of hostile text: one short line, at once", () => {
  for (const text of ["\n".repeat(9000) + "a: *" + "x".repeat(9000), "- ".repeat(3000) + "@"]) {
    const began = performance.now();
    const said = read(text);
    assert.ok(said.length < 400 && !said.includes("\n"), said);
    assert.ok(performance.now() - began < 5_000);
  }
});
