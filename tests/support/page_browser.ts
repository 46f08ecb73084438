/** Debian's Chromium, driven by Playwright. */
import { type Browser, chromium } from "playwright-core";
import { join } from "node:path";
import type { Chromium } from "./browser.ts";

/** How long the browser may take to start, on a machine that is busy, in milliseconds. */
const START_LIMIT_MS = 120_000;

/** A browser that ends with its scope. */
export async function startBrowser(
  { program, libraries, fonts }: Chromium,
): Promise<AsyncDisposable & { readonly browser: Browser }> {
  const folder = await Deno.makeTempDir();
  const config = join(folder, "fonts.conf");
  await Deno.writeTextFile(
    config,
    `<fontconfig><dir>${fonts}</dir><cachedir>${folder}/fonts</cachedir></fontconfig>`,
  );
  const browser = await chromium.launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"],
    env: { LD_LIBRARY_PATH: libraries.join(":"), FONTCONFIG_FILE: config, HOME: folder },
    timeout: START_LIMIT_MS,
  });
  return {
    browser,
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
