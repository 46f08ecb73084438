/** The live map, as a cluster's administrator starts it; the page itself is tested by ui_test.ts. */
import assert from "node:assert/strict";
import { UiProcess } from "../../support/ui_process.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case } from "../space.ts";

export const UI: Readonly<Record<string, Case>> = {
  "ui tells the page of pods that come, and why one lacks its network": async (space) => {
    const { cluster, namespace } = space;
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1 }]),
      pod("healthy", { claims: ["lan"], node: NODE }),
      claim("nosuch", [{ name: "lan", type: "late", subnet: 1 }]),
      pod("no-plugin", { claims: ["nosuch"], node: SECOND_NODE }),
    );
    await space.running("healthy");
    await space.assertEvent("no-plugin", /FailedPrepareDynamicResources: .*"late"/);
    await using ui = await UiProcess.start(
      await Deno.readTextFile(await cluster.adminKubeconfig()),
    );
    const { origin, hash } = new URL(await ui.address());
    const headers = { authorization: `Bearer ${hash.slice("#token=".length)}` };
    const stop = new AbortController();
    const events = await fetch(`${origin}/data/events`, { headers, signal: stop.signal });
    let told = "";
    const read = (async () => {
      const texts = events.body!.pipeThrough(new TextDecoderStream());
      for await (const text of texts) told += text;
    })().catch(() => {});
    const tells = (name: string) =>
      until(
        `the page is told of ${name}`,
        () =>
          Promise.resolve(
            told.includes(`"namespace":"${namespace}","name":"${name}"`) || undefined,
          ),
        { explain: () => Promise.resolve(told) },
      );
    try {
      await tells("healthy");
      assert.match(told, /10\.10\.1\.\d+\/24/);
      await space.apply(
        claim("more", [{ name: "lan", subnet: 2 }]),
        pod("later", { claims: ["more"], node: NODE }),
      );
      await tells("later");
      const uid = await cluster.kubectl(
        ...["get", "pod", "no-plugin", "--namespace", namespace],
        ...["--output", "jsonpath={.metadata.uid}"],
      );
      const way = await fetch(`${origin}/data/way?pod=${uid}`, { headers });
      assert.match(await way.text(), /a CNI plugin is missing on the node/);
    } finally {
      stop.abort();
      await read;
    }
  },
};
