/** Builds the page of `network-dra ui` into dist/page-files.txt, which a build puts into the bundle. */
import { join } from "node:path";
import { errorMessage } from "../../mod/async/error_message.ts";
import type { PageFiles } from "../../mod/ui/ports.ts";
import { deno, ROOT } from "./deno.ts";

const SOURCE = join(ROOT, "mod/ui/page");
const BUILT = join(ROOT, "dist/page-files.txt");

/** What `mod/cmd/ui_page.ts` has until a build puts the page there. */
const PLACE = '"NETWORK_DRA_PAGE_FILES"';

/** The arguments of `deno bundle` for the page's script. */
export function pageArguments(output: string): string[] {
  const entry = join(SOURCE, "main.ts");
  return ["bundle", "--quiet", "--platform=browser", "--output", output, entry];
}

/** The page's files: JSON, by gzip, in base64. @throws Error with what the bundler says */
export async function buildPage(): Promise<string> {
  await Deno.mkdir(join(ROOT, "dist"), { recursive: true });
  const script = await Deno.makeTempFile({ suffix: ".js" });
  try {
    const { success, stderr } = await deno(...pageArguments(script), "--minify");
    if (!success) throw new Error(`deno bundle failed: ${stderr}`);
    const files: PageFiles = {
      html: await Deno.readTextFile(join(SOURCE, "index.html")),
      css: await Deno.readTextFile(join(SOURCE, "page.css")),
      js: await Deno.readTextFile(script),
    };
    const encoded = await zipped(JSON.stringify(files));
    await Deno.writeTextFile(BUILT, encoded);
    return encoded;
  } finally {
    await Deno.remove(script);
  }
}

/** Puts the page into a bundle. @throws Error where the bundle has no place for it */
export async function embedPage(bundle: string): Promise<void> {
  const parts = (await Deno.readTextFile(bundle)).split(PLACE);
  if (parts.length !== 2) {
    throw new Error(`${bundle} has ${parts.length - 1} places for the page instead of 1`);
  }
  await Deno.writeTextFile(bundle, parts.join(JSON.stringify(await buildPage())));
}

async function zipped(text: string): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return bytes.toBase64();
}

if (import.meta.main) {
  try {
    await buildPage();
  } catch (error) {
    console.error(`cannot build the page: ${errorMessage(error)}`);
    Deno.exit(1);
  }
}
