/**
 * The documentation's site, as `deno task docs` builds it, in a real browser: pages, search, no request
 * to another host. The screenshots are in dist/screenshots.
 */
import assert from "node:assert/strict";
import { extname, join } from "node:path";
import { Browser, fetchChromium } from "../support/browser.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const SITE = join(ROOT, "dist/docs");
const SHOTS = join(ROOT, "dist/screenshots");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** Serves the site as any server of static files does. */
function serve() {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const path = join(SITE, pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    const file = extname(path) === "" ? `${path}.html` : path;
    const content = await Deno.readFile(file).catch(() => undefined);
    if (!content) return new Response("not found", { status: 404 });
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    return new Response(content, { headers: { "content-type": type } });
  });
}

Deno.test("the site in a browser", async (t) => {
  const chromium = await fetchChromium();
  assert.ok("program" in chromium, "missing" in chromium ? chromium.missing : "");
  await using server = serve();
  await using browser = await Browser.start(chromium);
  const base = `http://127.0.0.1:${server.addr.port}`;
  await Deno.mkdir(SHOTS, { recursive: true });
  const shoot = async (name: string) => {
    await Deno.writeFile(join(SHOTS, `${name}.png`), await browser.screenshot());
  };

  await t.step("home has the picture and leads to every kind of page", async () => {
    await browser.goto(`${base}/`);
    await browser.until(`document.querySelector("img")?.naturalWidth > 0`);
    const groups = await browser.evaluate(
      `[...document.querySelectorAll(".VPSidebarItem.level-0 > .item")].map((e) => e.textContent.trim())`,
    );
    assert.deepEqual(groups, ["Learn", "Do", "Look up", "Understand"]);
    await shoot("home");
  });

  await t.step("search finds a page, and leads to it", async () => {
    await browser.until(`!!document.querySelector("#local-search button")`);
    await browser.evaluate(`document.querySelector("#local-search button").click()`);
    await browser.until(`document.activeElement?.id === "localsearch-input"`);
    await browser.type("NetworkRefusedByPolicy");
    const found = "document.querySelector('#localsearch-list a')";
    await browser.until(`!!${found}`);
    const hrefs = await browser.evaluate(
      `[...document.querySelectorAll("#localsearch-list a")].map((e) => e.getAttribute("href"))`,
    );
    assert.ok((hrefs as string[]).some((href) => href.startsWith("/reference/events")), `${hrefs}`);
    await shoot("search");
    await browser.evaluate(`${found}.click()`);
    await browser.until(`location.pathname !== "/" && !!document.querySelector("h1")`);
  });

  await t.step("a page of the reference, for those who prefer it dark", async () => {
    await browser.prefer("dark");
    await browser.goto(`${base}/reference/claim-parameters.html`);
    await browser.until(`document.documentElement.classList.contains("dark")`);
    assert.equal(
      await browser.evaluate(`document.querySelector("h1").firstChild.data.trim()`),
      "Parameters of claims",
    );
    await shoot("claim-parameters-dark");
  });

  await t.step("the diagram of the design is a picture", async () => {
    await browser.goto(`${base}/design.html`);
    await browser.until(`!!document.querySelector(".diagram svg")`);
    const drawn = await browser.evaluate(
      `[...document.querySelectorAll(".diagram svg text")].map((e) => e.textContent)`,
    ) as string[];
    for (const word of ["intended", "adding", "there", "add_succeeded"]) {
      assert.ok(drawn.some((text) => text.includes(word)), `${word} is not in ${drawn}`);
    }
    assert.ok(await browser.evaluate(`document.querySelector(".diagram svg").clientWidth > 300`));
    assert.equal(await browser.evaluate(`!!document.querySelector(".language-mermaid")`), false);
    await browser.evaluate(`document.querySelector(".diagram").scrollIntoView()`);
    await shoot("design-diagram");
  });

  await t.step("nothing is asked of another host", () => {
    const others = browser.requests.filter((url) => !/^(data|blob|about):/.test(url))
      .filter((url) => new URL(url).host !== new URL(base).host);
    assert.deepEqual(others, []);
    assert.ok(browser.requests.length > 3);
  });
});
