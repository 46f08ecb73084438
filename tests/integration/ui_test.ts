/**
 * `network-dra ui` in a real browser: the command as users have it, from the bundle and with the
 * executable's permissions, on a made-up API server. The pictures are in dist/screenshots.
 */
import axe from "axe-core";
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { fetchChromium } from "../support/browser.ts";
import { type ClusterApi, withClusterApi } from "../support/cluster_api.ts";
import type { RawCluster } from "../support/cluster_objects.ts";
import { startBrowser } from "../support/page_browser.ts";
import { clusterOf, podObjects, smallCluster } from "../support/page_cluster.ts";
import { UiProcess } from "../support/ui_process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const SHOTS = join(ROOT, "dist/screenshots");
const SIZE = { width: 1440, height: 900 };

/** What the page is in, and what it did. */
interface Bench {
  readonly api: ClusterApi;
  readonly ui: UiProcess;
  readonly page: Page;
  /** URLs that the page asked for. */
  readonly requests: readonly string[];
  /** What the browser said of the page: errors, and what its policy refused. */
  readonly complaints: readonly string[];
}

/** Opens the page of a made-up cluster. */
function onPage(
  browser: Browser,
  { cluster, colorScheme = "light", prepare }: {
    readonly cluster: RawCluster;
    readonly colorScheme?: "light" | "dark";
    readonly prepare?: (api: ClusterApi) => void;
  },
  body: (bench: Bench) => Promise<void>,
): Promise<void> {
  return withClusterApi(cluster, async (api) => {
    prepare?.(api);
    await using ui = await UiProcess.start(api.kubeconfig());
    const context = await browser.newContext({ viewport: SIZE, colorScheme });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => complaints.push(message.text()));
    try {
      await page.goto(await ui.address());
      await body({ api, ui, page, requests, complaints });
    } finally {
      await context.close();
    }
  });
}

/** Waits until all eight kinds are watched, so that what is told is heard. */
async function watched({ api, page }: Bench): Promise<void> {
  while (api.asked.filter((line) => line.includes("watch=true")).length < 8) {
    await page.waitForTimeout(20);
  }
  await page.waitForTimeout(50);
}

/** What Cytoscape.js leaves on the element that it draws in. */
interface Drawn {
  readonly _cyreg: {
    readonly cy: {
      getElementById(
        id: string,
      ): { renderedPosition(): { readonly x: number; readonly y: number } };
    };
  };
}

/** Of the browser, what functions use that run in the page. */
declare const document: {
  readonly activeElement: {
    readonly id: string;
    readonly dataset: Readonly<Record<string, string | undefined>>;
  };
  readonly body: object;
  getElementById(id: string): unknown;
};
declare function getComputedStyle(element: object): { readonly backgroundColor: string };

/** Clicks on a pod of the map, where it is drawn. */
async function clickPod(page: Page, uid: string): Promise<void> {
  const point = await page.evaluate(
    (key) => {
      const map = document.getElementById("map") as Drawn;
      return map._cyreg.cy.getElementById(key).renderedPosition();
    },
    uid,
  );
  const box = (await page.locator("#map").boundingBox())!;
  await page.mouse.click(box.x + point.x, box.y + point.y);
}

function uidOf(cluster: RawCluster, name: string): string {
  const found = cluster.pods.map(({ metadata }) => metadata as Record<string, string>);
  return found.find((each) => each.name === name)!.uid!;
}

/** What axe finds wrong, in a line each. */
async function violations(page: Page): Promise<string[]> {
  // As a function of the page: its policy refuses scripts in the document.
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(
    () => (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  assert.ok(passes.length > 15, `axe looked at ${passes.length} rules only`);
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("; ")}`);
}

interface AxeResults {
  readonly passes: readonly unknown[];
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

const text = (page: Page, selector: string) => page.locator(selector).first().innerText();

Deno.test("the map of a cluster in a browser", async (t) => {
  const chromium = await fetchChromium();
  assert.ok("program" in chromium, "missing" in chromium ? chromium.missing : "");
  await using started = await startBrowser(chromium);
  const { browser } = started;
  await Deno.mkdir(SHOTS, { recursive: true });
  const small = smallCluster(new Date());

  await t.step(
    "a click on a pod shows its way, where it hangs, and what to do",
    () =>
      onPage(browser, { cluster: small }, async (bench) => {
        const { page, requests, complaints } = bench;
        await page.locator("#legend button").first().waitFor();
        assert.equal(await text(page, "#tab-pods"), "Pods 10");
        assert.equal(new URL(page.url()).hash, "");
        await page.screenshot({ path: join(SHOTS, "ui-light.png") });
        await clickPod(page, uidOf(small, "web-3"));
        await page.locator(".way").waitFor();
        assert.equal(await text(page, "#details h2"), "default/web-3");
        assert.match(await text(page, "#details h3"), /^lan: hangs at attach$/);
        assert.match(await text(page, ".hang"), /all addresses of the range are in use/);
        assert.match(await text(page, ".hang"), /use a larger range/);
        await page.screenshot({ path: join(SHOTS, "ui-pod-light.png") });
        assert.deepEqual(await violations(page), []);
        assert.deepEqual(
          requests.filter((url) => new URL(url).hostname !== "127.0.0.1"),
          [],
        );
        assert.ok(requests.length >= 5);
        assert.deepEqual(complaints, []);
      }),
  );

  await t.step(
    "a pod that comes is shown at once, and that it fails, too",
    () =>
      onPage(browser, { cluster: small }, async (bench) => {
        const { api, page } = bench;
        await page.locator("#legend button").first().waitFor();
        await watched(bench);
        const made = podObjects({
          name: "late",
          node: "node-3",
          network: "lan",
          state: "attaching",
        });
        api.tell("resourceclaims", "ADDED", made.claim);
        api.tell("pods", "ADDED", made.pod);
        await page.locator("#tab-pods", { hasText: "Pods 11" }).waitFor();
        await page.locator("#query").fill("late");
        const row = page.locator("#panel-pods tbody tr", { hasText: "late" });
        assert.match(await row.innerText(), /attaching/);
        const uid = (made.pod.metadata as Record<string, string>).uid!;
        await clickPod(page, uid);
        await page.locator(".way h3", { hasText: "hangs at prepare" }).waitFor();
        const failed = podObjects({
          name: "late",
          node: "node-3",
          network: "lan",
          state: "failed",
        });
        const metadata = { ...failed.claim.metadata as object, uid: claimUid(made.claim) };
        const status = failed.claim.status as { reservedFor: unknown };
        status.reservedFor = (made.claim.status as { reservedFor: unknown }).reservedFor;
        api.tell("resourceclaims", "MODIFIED", { ...failed.claim, metadata });
        await page.locator(".way h3", { hasText: "hangs at attach" }).waitFor();
        assert.match(await row.innerText(), /failed/);
        assert.equal(await text(page, "#news"), "default/late: failed");
        api.tell("pods", "DELETED", made.pod);
        await page.locator("#tab-pods", { hasText: "Pods 0" }).waitFor();
        await page.locator("#details h2", { hasText: "The pod is gone" }).waitFor();
      }),
  );

  await t.step(
    "search, lists and the map go by the keyboard alone",
    () =>
      onPage(browser, { cluster: small }, async ({ page }) => {
        await page.locator("#legend button").first().waitFor();
        await page.keyboard.press("/");
        await page.keyboard.type("shop node-1");
        await page.locator("#tab-pods", { hasText: "Pods 1" }).waitFor();
        assert.match(await text(page, "#panel-pods tbody"), /shop\/db-0/);
        await page.keyboard.press("Escape");
        await page.locator("#tab-pods", { hasText: "Pods 10" }).waitFor();

        await page.locator("#map").focus();
        await page.keyboard.press("ArrowRight");
        await page.locator("#details h2", { hasText: "default/web-0" }).waitFor();
        await page.keyboard.press("ArrowRight");
        await page.locator("#details h2", { hasText: "shop/db-0" }).waitFor();
        await page.keyboard.press("Enter");
        assert.equal(await page.evaluate(() => document.activeElement.id), "details");
        await page.keyboard.press("Escape");
        await page.locator("#details").waitFor({ state: "hidden" });

        await page.locator("#tab-pods").focus();
        await page.keyboard.press("ArrowRight");
        assert.match(await text(page, "#panel-problems"), /claim default\/web-3-net/);
        await page.keyboard.press("ArrowRight");
        assert.match(await text(page, "#panel-timeline li"), /shop\/gateway-1/);
        await page.locator("#map").focus();
        await page.keyboard.press("?");
        await page.locator("dialog[open]").waitFor();
        assert.deepEqual(await violations(page), []);
        await page.keyboard.press("Escape");
        await page.locator("dialog[open]").waitFor({ state: "detached" });

        // Everything that can be operated is reached by Tab, in the order of the page.
        await page.locator("#query").focus();
        const reached: string[] = [];
        for (let i = 0; i < 5; i++) {
          await page.keyboard.press("Tab");
          reached.push(
            await page.evaluate(() => {
              const { id, dataset } = document.activeElement;
              return id || dataset.state || "";
            }),
          );
        }
        assert.deepEqual(reached, ["theme", "help", "map", "failed", "lost"]);
      }),
  );

  await t.step(
    "it is dark for those who prefer it, and as the button says",
    () =>
      onPage(browser, { cluster: small, colorScheme: "dark" }, async ({ page, complaints }) => {
        await page.locator("#legend button").first().waitFor();
        const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(await back(), "rgb(17, 21, 27)");
        await page.locator("#tab-timeline").click();
        await page.screenshot({ path: join(SHOTS, "ui-dark.png") });
        assert.deepEqual(await violations(page), []);
        await page.locator("#theme").click();
        assert.equal(await back(), "rgb(243, 245, 248)");
        await page.reload();
        await page.locator("#legend button").first().waitFor();
        assert.equal(await back(), "rgb(243, 245, 248)");
        assert.deepEqual(await violations(page), []);
        assert.deepEqual(complaints, []);
      }),
  );

  await t.step(
    "without the token there is no data, and the page says so",
    () =>
      onPage(browser, { cluster: small }, async ({ ui }) => {
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto((await ui.address()).replace(/#.*/, "#token=wrong"));
        await page.locator("#connection", { hasText: "no access" }).waitFor();
        assert.match(await text(page, "#empty"), /open the address that the command printed/);
        assert.equal(await page.locator("#legend button").count(), 0);
        await context.close();
      }),
  );

  await t.step(
    "an API server that goes away is named on the page and the terminal",
    () =>
      onPage(browser, { cluster: small }, async (bench) => {
        const { api, ui, page } = bench;
        await page.locator("#legend button").first().waitFor();
        await watched(bench);
        api.fault = () => Response.json({ message: "etcd is away" }, { status: 500 });
        api.endWatches();
        await page.locator("#notices", { hasText: "What is shown may be old: " }).waitFor();
        await ui.says(/What is shown may be old: .*etcd is away/);
        assert.equal(await text(page, "#tab-pods"), "Pods 10");
        assert.deepEqual(await violations(page), []);
        api.fault = () => undefined;
        await page.locator("#notices", { hasNotText: "may be old" }).waitFor({ state: "attached" });
        await ui.says(/All of the cluster is shown again/);
      }),
  );

  await t.step("no rights: each kind is named, and nothing is shown instead of an error", () => {
    const prepare = (api: ClusterApi) => {
      api.fault = (plural) => Response.json({ message: `${plural}: no` }, { status: 403 });
    };
    return onPage(browser, { cluster: small, prepare }, async ({ ui, page }) => {
      await page.locator("#notices", { hasText: "no right to list resourceclaims" }).waitFor();
      await page.locator("#empty", { hasText: "Nothing can be shown" }).waitFor();
      await ui.says(/Not shown: you have no right to list nodes in the whole cluster/);
      assert.deepEqual(await violations(page), []);
    });
  });

  await t.step("a cluster without the driver is told from one without pods", () => {
    const cluster = { ...clusterOf([], ["node-1"]), pods: [], resourceslices: [] };
    return onPage(browser, { cluster }, async ({ ui, page }) => {
      await page.locator("#notices", { hasText: "no agent runs" }).waitFor();
      await ui.says(/no agent runs, and no node has devices .*: install network-dra/);
    });
  });

  await t.step(
    "the page says that the command has ended, which Ctrl+C does at once",
    () =>
      onPage(browser, { cluster: small }, async ({ ui, page }) => {
        await page.locator("#connection", { hasText: "live" }).waitFor();
        ui.interrupt();
        assert.equal(await ui.done(), 0);
        await page.locator("#connection", { hasText: "the command has ended" }).waitFor();
      }),
  );

  await t.step(
    "a port that is in use, and a kubeconfig that is not there, end it with a sentence",
    () =>
      withClusterApi(small, async (api) => {
        const { port } = new URL(api.url);
        await using taken = await UiProcess.start(api.kubeconfig(), "--port", port);
        assert.equal(await taken.done(), 1);
        assert.match(
          taken.stderr,
          new RegExp(`port ${port} of 127.0.0.1 is in use: choose another`),
        );
        await using broken = await UiProcess.start("no: kubeconfig");
        assert.equal(await broken.done(), 1);
        assert.match(broken.stderr, /^network-dra ui: .*kubeconfig/);
      }),
  );
});

function claimUid(claim: Record<string, unknown>): string {
  return (claim.metadata as Record<string, string>).uid!;
}
