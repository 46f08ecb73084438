/** `network-dra webhook` as a process, by HTTPS, beside a simulated API server that has DeviceClasses. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { chartClasses } from "../../mod/manifests/chart_classes.ts";
import { selfSigned } from "../../mod/certificates/self_signed.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { cli } from "../support/cli.ts";
import { mistaken, MISTAKES, RIGHT } from "../support/mistakes.ts";
import { parseAllDocuments } from "yaml";

const CLASSES = "/apis/resource.k8s.io/v1/deviceclasses";
const PORT = 9279;
const POLICY =
  "policy:\n  inline: false\n  namespaces:\n    - names: [infra]\n      inline: true\n";

function review(claim: string, namespace: string): string {
  return JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "u-1",
      kind: { group: "resource.k8s.io", version: "v1", kind: "ResourceClaim" },
      namespace,
      operation: "CREATE",
      object: parseAllDocuments(claim)[0]!.toJS(),
    },
  });
}

Deno.test("network-dra webhook judges with the cluster's classes and the agents' policy, by HTTPS", async () => {
  const folder = await Deno.makeTempDir();
  const api = new SimulatedApiServer();
  api.start();
  api.objects.put(CLASSES, { metadata: { name: "gpu" }, spec: {} });
  const path = (name: string) => join(folder, name);
  const renew = async () => {
    const { cert, key } = selfSigned(["localhost"], new Date());
    await Deno.writeTextFile(path("tls.crt"), cert);
    await Deno.writeTextFile(path("tls.key"), key);
    return Deno.createHttpClient({ caCerts: [cert] });
  };
  let client = await renew();
  await Deno.writeTextFile(path("kubeconfig"), api.kubeconfig());
  await Deno.writeTextFile(path("config.yaml"), POLICY);
  const webhook = new AgentProcess([
    ...["--listen", `localhost:${PORT}`, "--cert", path("tls.crt"), "--key", path("tls.key")],
    ...["--kubeconfig", path("kubeconfig"), "--config", path("config.yaml")],
  ], { args: ["run", "--quiet", "--allow-all", "--no-check", "main.ts", "webhook"] });
  const send = async (body: string) => {
    const init = { method: "POST", body, client };
    const response = await fetch(`https://localhost:${PORT}/validate`, init);
    assert.equal(response.status, 200);
    return (await response.json()).response;
  };
  const get = async (path: string) => {
    const response = await fetch(`https://localhost:${PORT}${path}`, { client });
    return [response.status, await response.text()];
  };
  try {
    await webhook.logged("admission reviews are served");
    assert.deepEqual(await get("/healthz"), [200, "ok\n"]);
    const right = { uid: "u-1", allowed: true };
    assert.deepEqual(await send(review(RIGHT, "shop")), right, "its class does not exist yet");
    for (const each of chartClasses("dra.networking")) api.objects.put(CLASSES, each);
    const end = Date.now() + 20_000;
    while ((await send(review(RIGHT, "shop"))).allowed) {
      assert.ok(Date.now() < end, "it does not learn of the classes");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(await get("/readyz"), [200, "ok\n"]);
    const { allowed, status } = await send(review(RIGHT, "shop"));
    assert.equal(allowed, false);
    assert.equal(status.reason, "Forbidden");
    assert.match(
      status.message,
      /^spec\.devices\.config\[0\]\.opaque\.parameters\.config: refused/,
    );
    assert.deepEqual(await send(review(RIGHT, "infra")), right);
    const [mistake] = Object.values(Object.values(MISTAKES)[0]!);
    const refused = await send(review(mistaken(mistake!), "infra"));
    assert.match(refused.status.message, /parameters\.config\.mater: .*did you mean "master"/);
    client.close();
    client = await renew();
    while (webhook.lines.filter(({ msg }) => msg === "admission reviews are served").length < 2) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(await send(review(RIGHT, "infra")), right, "with the new certificate");
  } finally {
    client.close();
    await webhook.end();
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("network-dra webhook says what it lacks", async () => {
  const none = await cli(["webhook"]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /a certificate is required: give --cert and --key, or --certificate-/);
  const half = await cli(["webhook", "--cert", "/c"]);
  assert.match(half.stderr, /--key is required: a certificate and its key go together/);
  const both = await cli(["webhook", "--cert", "/c", "--server-name", "a.b.svc"]);
  assert.match(both.stderr, /--cert and --key cannot be given with --certificate-secret/);
  const named = await cli(["webhook", "--certificate-secret", "tls"]);
  assert.match(named.stderr, /NAMESPACE\/NAME of an object/);
  const outside = await cli(["webhook", "--cert", "/c", "--key", "/k"]);
  assert.equal(outside.code, 2);
  assert.match(outside.stderr, /--kubeconfig is required outside of a cluster/);
});
