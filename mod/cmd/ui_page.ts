import type { PageFiles } from "../ui/ports.ts";

/** `deno task build` puts the page's files here: JSON, by gzip, in base64. */
const EMBEDDED = "NETWORK_DRA_PAGE_FILES";
/** What gzip in base64 begins with. */
const GZIP = "H4sI";
/** Where `deno task ui` puts the same, for running from source. */
const BUILT = new URL("../../dist/page-files.txt", import.meta.url);

/** The files of the page. @throws Error where they have not been built */
export async function pageFiles(): Promise<PageFiles> {
  const encoded = EMBEDDED.startsWith(GZIP) ? EMBEDDED : await readBuilt();
  const zipped = new Blob([Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0))]);
  const unzipped = zipped.stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(unzipped).json();
}

async function readBuilt(): Promise<string> {
  try {
    return await Deno.readTextFile(BUILT);
  } catch (cause) {
    throw new Error("the page is not built: from source, run it as `deno task ui`", { cause });
  }
}
