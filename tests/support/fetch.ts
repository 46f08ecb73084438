/**
 * Brings what the integration tests need into the cache, once: they run where no network can be
 * reached. What is not available is said here; the tests that need it fail, or are skipped where they
 * say so themselves.
 */
import { basename } from "node:path";
import { writeImage } from "../../deploy/image/build.ts";
import { buildSite } from "../../docs/site/build.ts";
import { bundleAgent } from "../faults/agent.ts";
import { fetchChromium } from "./browser.ts";
import { fetchCnitool } from "./cnitool.ts";
import { CONTAINERD, type ContainerdVersion, fetchContainerd } from "./containerd.ts";
import { fetchCrio } from "./crio.ts";
import { fetchDenoCompile } from "./deno_compile.ts";
import { fetchCritest } from "./critest.ts";
import { fetchHelmRender } from "./helm_render.ts";
import { fetchImageLoaders } from "./image_loaders.ts";
import { fetchKubectl } from "./kubectl.ts";
import { fetchMetadataReaders } from "./metadata_reader.ts";
import { fetchNft } from "./nft.ts";
import { fetchNriOracles } from "./nri_oracle.ts";
import { fetchPromtool } from "./promtool.ts";
import { fetchQemu } from "./qemu.ts";
import { fetchShells } from "./shells.ts";
import { errorMessage } from "../../mod/async/error_message.ts";
import { DOWNLOAD_LIMIT_MINUTES, outputWithin } from "../../mod/simulator/output_within.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

interface Progress {
  readonly progress: (line: string) => void;
}

let image: Promise<void> | undefined;
/** Once, for all tests. */
const makeImage = (options: Progress) => image ??= writeImage(options);

/** What takes long to be built, by Go most of it, and the tests that need it. */
const BUILT = {
  "agent_runtimes_test.ts": async (options: Progress) => {
    const obstacle = await fetchContainerd("2.4", options);
    if (obstacle) console.log(obstacle);
    return await fetchCrio(options);
  },
  "cni_oracle_test.ts": fetchCnitool,
  "compiled_test.ts": async (options: Progress) => {
    await fetchDenoCompile(options);
    await makeImage(options);
  },
  "container_test.ts": makeImage,
  "node_root_test.ts": makeImage,
  "completion_test.ts": fetchShells,
  "critest_test.ts": fetchCritest,
  "device_metadata_test.ts": fetchMetadataReaders,
  "distributions_test.ts": fetchHelmRender,
  "helm_chart_test.ts": fetchHelmRender,
  "image_test.ts": async (options: Progress) => {
    await fetchImageLoaders(options);
    await makeImage(options);
  },
  "migrate_test.ts": async (options: Progress) => void await fetchKubectl(options),
  "monitoring_test.ts": async (options: Progress) => {
    const found = await fetchPromtool(options);
    if ("missing" in found) console.log(found.missing);
    return await fetchHelmRender(options);
  },
  "nri_versions_test.ts": fetchNriOracles,
  "rooted_plugins_test.ts": fetchQemu,
  "site_test.ts": async (options: Progress) => {
    await fetchChromium(options);
    await buildSite();
  },
  "ui_test.ts": fetchChromium,
  "release_test.ts": async (options: Progress) => {
    await fetchHelmRender(options);
    await makeImage(options);
  },
} as const;

/** @param files the integration tests that are to run */
export async function fetchParts(files: readonly string[]): Promise<void> {
  const progress = (line: string) => console.log(line);
  try {
    for (const version of Object.keys(CONTAINERD) as ContainerdVersion[]) {
      await fetchContainerd(version, { progress });
    }
    await fetchNft({ progress });
  } catch (error) {
    console.log(errorMessage(error));
  }
  // The bundler brings a program of its own at its first use.
  await outputWithin(DOWNLOAD_LIMIT_MINUTES, Deno.execPath(), {
    args: ["task", "--quiet", "build"],
    cwd: ROOT,
    stdout: "null",
  });
  await bundleAgent();
  const names = new Set(files.map((file) => basename(file)));
  for (const [test, fetch] of Object.entries(BUILT)) {
    if (!names.has(test)) continue;
    try {
      const found = await fetch({ progress });
      if (found && "missing" in found) console.log(found.missing);
    } catch (error) {
      console.log(errorMessage(error));
    }
  }
}
