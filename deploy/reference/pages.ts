import { commandLineReference } from "./command_line.ts";
import { configurationPage } from "./configuration.ts";
import { conditionsPage, eventsPage } from "./events.ts";
import { metricsPage } from "./metrics.ts";
import { parametersPage } from "./parameters.ts";
import { picture } from "./picture.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** The folder of the pages. */
export const FOLDER = `${ROOT}docs`;

/** What of the documentation is written from the code, by its path in docs. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  "picture.svg": picture,
  "reference/claim-parameters.md": parametersPage,
  "reference/command-line.md": commandLineReference,
  "reference/conditions.md": conditionsPage,
  "reference/configuration.md": configurationPage,
  "reference/events.md": eventsPage,
  "reference/metrics.md": metricsPage,
};

/** A page as it stands in its file: Markdown is laid out by `deno fmt`. */
export async function contentOf(path: string): Promise<string> {
  const text = await PAGES[path]!();
  return path.endsWith(".md") ? await formatted(text) : text;
}

async function formatted(markdown: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext", "md", "-"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(markdown));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt cannot read the page");
  return new TextDecoder().decode(stdout);
}
