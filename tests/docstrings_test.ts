import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { sources } from "./support/sources.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The modules that others build on. */
const MODULES = ["agent", "async", "claim", "cni", "nri", "ttrpc"];

/** Modules of pure functions, which show by an example how they are used. */
const SHOWN = [
  "mod/agent/attachments/attachment_state.ts",
  "mod/async/backoff.ts",
  "mod/async/keyed_lock.ts",
  "mod/async/limiter.ts",
  "mod/claim/addresses.ts",
  "mod/claim/interface_names.ts",
  "mod/claim/ip_notation.ts",
  "mod/claim/network_list.ts",
  "mod/claim/parameters.ts",
  "mod/cni/invocation.ts",
  "mod/cni/network_data.ts",
  "mod/cni/result.ts",
  "mod/nri/mux_frame.ts",
  "mod/ttrpc/frame.ts",
];

/** The lines of exports that no docstring precedes. */
function undocumented(text: string): number[] {
  const lines = text.split("\n");
  return lines.flatMap((line, i) => {
    if (!/^export (?!\{|\*|type \{)/.test(line)) return [];
    return lines[i - 1]?.endsWith("*/") ? [] : [i + 1];
  });
}

Deno.test("undocumented() finds exports without a docstring", () => {
  assert.deepEqual(undocumented("/** A. */\nexport const a = 1;\n"), []);
  assert.deepEqual(undocumented("export const a = 1;\n\n/** B. */\n\nexport class B {}\n"), [1, 5]);
});

Deno.test("every export of the modules that others build on has a docstring", async () => {
  const wrong: string[] = [];
  for (const module of MODULES) {
    for (const { path, text } of await sources(join(ROOT, "mod", module))) {
      for (const line of undocumented(text)) wrong.push(`${relative(ROOT, path)}:${line}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("codecs and pure functions have an example, which the test runner runs", async () => {
  const found = (await sources(join(ROOT, "mod")))
    .filter(({ text }) => /@example\n \* ```ts\n/.test(text))
    .map(({ path }) => relative(ROOT, path));
  assert.deepEqual(SHOWN.filter((path) => !found.includes(path)), []);
});
