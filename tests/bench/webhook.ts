/** How long a review of the webhook takes, over HTTPS with keep-alive, as API servers ask. */
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { issueCertificate } from "../../mod/certificates/issued.ts";
import { chartClasses } from "../../mod/manifests/chart_classes.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { AgentProcess, bundleArguments } from "../support/agent_process.ts";
import { RIGHT } from "../support/mistakes.ts";
import { WebhookObjects } from "../support/webhook_objects.ts";
import { pairwise } from "./statistics.ts";

const PORT = 9284;
const WARM_UP = 200;
const REVIEWS = 2_000;

/** A review of a claim that is right, so that all of it is judged. */
const REVIEW = JSON.stringify({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid: "u-1",
    kind: { group: "resource.k8s.io", version: "v1", kind: "ResourceClaim" },
    namespace: "default",
    operation: "CREATE",
    object: parseAllDocuments(RIGHT)[0]!.toJS(),
  },
});

/** Milliseconds of each review: the webhook's, and those of a handler that judges nothing. */
export async function measureWebhook(): Promise<{ ours: number[]; theirs: number[] }> {
  const folder = await Deno.makeTempDir();
  const [api, objects] = [new SimulatedApiServer(), new WebhookObjects()];
  api.fault = objects.answer;
  api.start();
  for (const each of chartClasses("dra.networking")) {
    api.objects.put("/apis/resource.k8s.io/v1/deviceclasses", each);
  }
  const path = (name: string) => join(folder, name);
  const other = issueCertificate(["localhost"], new Date());
  await Deno.writeTextFile(path("kubeconfig"), api.kubeconfig());
  await Deno.writeTextFile(path("cert"), other.cert);
  await Deno.writeTextFile(path("key"), other.key);
  const webhook = new AgentProcess([
    ...["--listen", `localhost:${PORT}`, "--kubeconfig", path("kubeconfig")],
    ...["--log-level", "info", ...WebhookObjects.flags],
  ], { args: [...bundleArguments().slice(0, -1), "webhook"] });
  const trivial = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--allow-net", "--allow-read"],
      ...[new URL("trivial_https.ts", import.meta.url).pathname, path("cert"), path("key")],
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  try {
    await webhook.logged("admission reviews are served");
    const reader = trivial.stdout.getReader();
    const port = new TextDecoder().decode((await reader.read()).value).trim();
    reader.releaseLock();
    using client = Deno.createHttpClient({
      caCerts: [objects.bundles[0]!, other.ca],
      http2: false,
      poolMaxIdlePerHost: 1,
    });
    const ask = async (at: string | number) => {
      const init = { method: "POST", body: REVIEW, client };
      const response = await fetch(`https://localhost:${at}/validate`, init);
      const answer = await response.json();
      if (answer.response?.allowed !== true) throw new Error(JSON.stringify(answer));
    };
    for (let i = 0; i < WARM_UP; i++) {
      await ask(PORT);
      await ask(port);
    }
    return await pairwise(REVIEWS, {
      ours: (measure) => measure(() => ask(PORT)),
      theirs: (measure) => measure(() => ask(port)),
    });
  } finally {
    trivial.kill();
    await trivial.stdout.cancel();
    await trivial.status;
    await webhook.end();
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
}
