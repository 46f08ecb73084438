/** How smoothly the map of a large cluster moves in a headless browser, which has no graphics card. */
import type { Page } from "playwright-core";
import { fetchChromium } from "../support/browser.ts";
import { withClusterApi } from "../support/cluster_api.ts";
import { startBrowser } from "../support/page_browser.ts";
import { largeCluster } from "../support/page_cluster.ts";
import { UiProcess } from "../support/ui_process.ts";

/** Of the cluster that is shown. */
export const MAP_SIZE = { nodes: 100, pods: 2_000 };

/** Frames a second. */
export interface MapFigures {
  /** While nothing moves. */
  readonly still: number;
  /** While the map is dragged. */
  readonly dragged: number;
  /** While it is zoomed in and out by the wheel. */
  readonly zoomed: number;
  /** The longest time without a frame while it is dragged or zoomed, in milliseconds. */
  readonly longest: number;
  /** From the page's address to a map of all pods, in milliseconds. */
  readonly shown: number;
}

const MOVES = 120;

/** Measures with the command from the bundle. @throws Error where there is no browser */
export async function measureMap(): Promise<MapFigures> {
  const chromium = await fetchChromium();
  if ("missing" in chromium) throw new Error(chromium.missing);
  await using started = await startBrowser(chromium);
  const found: MapFigures[] = [];
  await withClusterApi(largeCluster(new Date()), async (api) => {
    await using ui = await UiProcess.start(api.kubeconfig());
    const address = await ui.address();
    await ui.says(/Ctrl\+C/);
    const page = await started.browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.setDefaultTimeout(120_000);
    const began = performance.now();
    await page.goto(address);
    await page.locator("#tab-pods", { hasText: `Pods ${MAP_SIZE.pods}` }).waitFor();
    const shown = performance.now() - began;
    await page.waitForTimeout(2_000);
    const still = await frames(page, () => page.waitForTimeout(3_000));
    const { x, y, width, height } = (await page.locator("#map").boundingBox())!;
    const [middleX, middleY] = [x + width / 2, y + height / 2];
    await page.mouse.move(middleX, middleY);
    const zoomed = await frames(page, async () => {
      for (let i = 0; i < MOVES; i++) await page.mouse.wheel(0, i % 40 < 20 ? -40 : 40);
    });
    await page.mouse.move(middleX, y + 8);
    const before = await panned(page);
    await page.mouse.down();
    const dragged = await frames(page, async () => {
      for (let i = 1; i <= MOVES; i++) {
        await page.mouse.move(middleX + 200 * Math.sin(i / 10), y + 8 + 150 * Math.sin(i / 15));
      }
    });
    await page.mouse.up();
    if (Math.abs(await panned(page) - before) < 20) throw new Error("the map was not dragged");
    found.push({
      still: still.rate,
      dragged: dragged.rate,
      zoomed: zoomed.rate,
      longest: Math.max(dragged.longest, zoomed.longest),
      shown,
    });
  });
  return found[0]!;
}

/** Of the browser, what functions use that run in the page. */
declare const document: { getElementById(id: string): unknown };
declare function requestAnimationFrame(tick: (time: number) => void): void;

/** How far to the right the map is moved, in pixels. */
function panned(page: Page): Promise<number> {
  return page.evaluate(() => {
    const map = document.getElementById("map") as {
      readonly _cyreg: { readonly cy: { pan(): { readonly x: number } } };
    };
    return map._cyreg.cy.pan().x;
  });
}

/** Counts the page's frames while something is done. */
async function frames(
  page: Page,
  body: () => Promise<void>,
): Promise<{ readonly rate: number; readonly longest: number }> {
  const stop = await page.evaluateHandle(() => {
    const times: number[] = [];
    let isOver = false;
    const tick = (time: number) => {
      times.push(time);
      if (!isOver) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    return () => {
      isOver = true;
      return times;
    };
  });
  await body();
  const times = await stop.evaluate((end) => end());
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  return {
    rate: 1000 * gaps.length / (times.at(-1)! - times[0]!),
    longest: Math.max(...gaps),
  };
}
