/** What the webhook refuses when objects are created, beside what agents refuse. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { selfSigned } from "../../../mod/certificates/self_signed.ts";
import { AgentProcess } from "../../support/agent_process.ts";
import { readObjects } from "../../support/deployment.ts";
import { fetchHelmRender, renderChart } from "../../support/helm_render.ts";
import { ApiError, type Json, type Manifest } from "../api.ts";
import { claim, pod } from "../objects.ts";
import { until } from "../poll.ts";
import type { Case, Space } from "../space.ts";

const PORT = 9443;
const NO_CONFIGURATION = { interface: "net1" };

/** The chart's configuration, for the case's namespace alone, and for a webhook beside the API server. */
async function configuration({ namespace }: Space, ca: string): Promise<Manifest> {
  const helm = await fetchHelmRender();
  assert.ok("path" in helm, "missing" in helm ? helm.missing : "");
  const yaml = await renderChart(helm.path, {
    webhook: {
      enabled: true,
      failurePolicy: "Fail",
      certificateSecret: "unused",
      caBundle: btoa(ca),
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    },
  });
  const found = readObjects(yaml).find(({ kind }) => kind === "ValidatingWebhookConfiguration");
  const { webhooks, ...rest } = found as Json;
  const clientConfig = { url: `https://localhost:${PORT}/validate`, caBundle: btoa(ca) };
  return { ...rest, webhooks: webhooks.map((each: Json) => ({ ...each, clientConfig })) };
}

/** Runs with a webhook that the API server asks. */
async function withWebhook(space: Space, body: () => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const { cert, key } = selfSigned(["localhost"], new Date());
  const paths = { cert: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  await Deno.writeTextFile(paths.cert, cert);
  await Deno.writeTextFile(paths.key, key);
  const webhook = new AgentProcess([
    ...["--listen", `localhost:${PORT}`, "--cert", paths.cert, "--key", paths.key],
    ...["--kubeconfig", await space.cluster.adminKubeconfig()],
  ], { args: ["run", "--quiet", "--allow-all", "--no-check", "main.ts", "webhook"] });
  const { api } = space.cluster;
  const objects = await configuration(space, cert);
  try {
    await webhook.logged("admission reviews are served");
    await api.apply(objects);
    await body();
  } finally {
    await api.delete({ kind: objects.kind, name: objects.metadata.name });
    await webhook.end();
    await Deno.remove(folder, { recursive: true });
  }
}

/** What the API server says to the object; undefined where it takes it. */
async function refusal(space: Space, manifest: Manifest): Promise<string | undefined> {
  try {
    await space.apply(manifest);
    return undefined;
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

export const WEBHOOK: Readonly<Record<string, Case>> = {
  "the webhook refuses a claim in the words of the agent, and takes a good one": async (space) => {
    const bad = (name: string) =>
      claim(name, [{ name: "lan", subnet: 41, parameters: NO_CONFIGURATION }]);
    await space.apply(bad("before"), pod("waits", { claims: ["before"] }));
    const cause = /parameters\.config: is missing: it holds the CNI configuration/;
    await space.assertEvent("waits", cause);
    await withWebhook(space, async () => {
      // API servers learn of a configuration after a moment.
      const said = await until("the webhook is asked", async () => {
        const name = `bad-${crypto.randomUUID().slice(0, 8)}`;
        return await refusal(space, bad(name));
      });
      // The API server's answer stands in the error as JSON, with its quotation marks escaped.
      assert.match(said, /admission webhook \\"resourceclaims\.webhook\..*" denied the request/);
      assert.match(said, cause);
      // What is there already can still be labelled and deleted.
      const labelled = bad("before");
      const metadata = { ...labelled.metadata, annotations: { "example.com/seen": "yes" } };
      assert.equal(await refusal(space, { ...labelled, metadata }), undefined);
      await space.delete("Pod", "waits");
      await space.delete("ResourceClaim", "before");
      const good = claim("good", [{ name: "lan", subnet: 42 }]);
      await space.apply(good, pod("runs", { claims: ["good"] }));
      await space.assertNetwork(await space.running("runs"), { subnet: 42 });
    });
  },
};
