import assert from "node:assert/strict";
import { openLog } from "./logging.ts";

function logged(format: "text" | "json", level: "debug" | "warn" = "debug"): string[] {
  const lines: string[] = [];
  const log = openLog({ level, format, write: (line) => lines.push(line) });
  log.debug("quiet");
  log.info('attached network "a"', { claim: "default/a", ms: 12, error: "two\nlines {x}" });
  log.warn("braces {claim} stay as they are");
  return lines;
}

const withoutTime = (line: string) => line.replace(/^\S+ /, "");

Deno.test("text: one line an event, with what it is about", () => {
  assert.deepEqual(logged("text").map(withoutTime), [
    "DEBUG quiet\n",
    'INFO  attached network "a" claim=default/a ms=12 error="two\\nlines {x}"\n',
    "WARN  braces {claim} stay as they are\n",
  ]);
});

Deno.test("text: what would move the reader's cursor is written as what it is", () => {
  const lines: string[] = [];
  const log = openLog({ level: "info", format: "text", write: (line) => lines.push(line) });
  log.info("it \x1b[2Jsaid\x07", { error: "\x1b]0;x\x9c", more: "tab\there" });
  assert.deepEqual(lines.map(withoutTime), [
    'INFO  it \\u001b[2Jsaid\\u0007 error=\\u001b]0;x\\u009c more="tab\\there"\n',
  ]);
});

Deno.test("json: one object a line", () => {
  const objects = logged("json").map((line) => JSON.parse(line));
  assert.deepEqual(objects.map(({ time: _, ...rest }) => rest), [
    { level: "debug", msg: "quiet" },
    {
      level: "info",
      msg: 'attached network "a"',
      claim: "default/a",
      ms: 12,
      error: "two\nlines {x}",
    },
    { level: "warn", msg: "braces {claim} stay as they are" },
  ]);
  assert.match(objects[0].time, /^\d{4}-\d\d-\d\dT.*Z$/);
});

Deno.test("the level leaves out what is below it", () => {
  assert.equal(logged("text", "warn").length, 1);
});
