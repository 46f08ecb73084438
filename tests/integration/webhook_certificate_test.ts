/** The certificate that the webhook makes, with real handshakes, beside a simulated API server. */
import assert from "node:assert/strict";
import { KubeConnection } from "../../mod/kube/connection.ts";
import { KubeWebhookCertificates } from "../../mod/kube/webhook_certificates.ts";
import { serveSeamlessly } from "../../mod/observe/serve_seamless.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { OwnCertificate } from "../../mod/webhook/own_certificate.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { FakeClock, FakeLog } from "../support/agent_fakes.ts";
import { WebhookObjects } from "../support/webhook_objects.ts";

const PORTS = [9281, 9282];
const SERVED = "info admission reviews are served";

/** Two replicas with a stopped clock, each at a port of its own. */
async function withReplicas(
  body: (bench: {
    readonly objects: WebhookObjects;
    readonly clock: FakeClock;
    readonly logs: readonly FakeLog[];
    /** A new connection to a replica, as API servers make them. */
    readonly ask: (port: number) => Promise<string>;
  }) => Promise<void>,
): Promise<void> {
  const [api, objects, clock, end] = [
    new SimulatedApiServer(),
    new WebhookObjects(),
    new FakeClock(),
    new AbortController(),
  ];
  api.fault = objects.answer;
  objects.now = () => clock.now();
  // Clients verify by the machine's clock.
  clock.set(Date.now() - clock.now().getTime());
  api.start();
  const kubeconfig = await Deno.makeTempFile();
  await Deno.writeTextFile(kubeconfig, api.kubeconfig());
  const { signal } = end;
  const replicas = PORTS.map((port) => {
    const [connection, log] = [new KubeConnection({ kubeconfig }), new FakeLog()];
    const store = new KubeWebhookCertificates(connection, {
      secret: { namespace: "kube-system", name: "tls" },
      configuration: "network-dra-webhook",
    });
    const own = new OwnCertificate(store, { names: ["localhost"], log, clock, signal });
    const done = serveSeamlessly({ hostname: "localhost", port }, async (request) => {
      return new Response(`${request.method} ${(await request.text()).length}`);
    }, {
      what: "admission reviews",
      secured: "admission reviews",
      flag: "--listen",
      certificate: () => own.read(),
      log,
      clock,
      signal,
    });
    return { done, log, connection };
  });
  try {
    await body({
      objects,
      clock,
      logs: replicas.map(({ log }) => log),
      ask: async (port) => {
        const client = Deno.createHttpClient({ caCerts: [objects.bundles[0]!] });
        try {
          const init = { method: "POST", body: "x".repeat(100_000), client };
          return await (await fetch(`https://localhost:${port}/validate`, init)).text();
        } finally {
          client.close();
        }
      },
    });
  } finally {
    end.abort();
    await Promise.all(replicas.map(({ done }) => done));
    for (const { connection } of replicas) connection.close();
    await api.stop();
    await Deno.remove(kubeconfig);
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds();) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("two replicas of the webhook start at once, and change their certificate while requests go on", () =>
  withReplicas(async ({ objects, clock, logs, ask }) => {
    const served = (times: number) =>
      logs.every(({ lines }) => lines.filter((each) => each === SERVED).length >= times);
    await until("both serve", () => served(1));
    assert.ok(objects.conflicts > 0, "they did not start at the same time");
    const made = () =>
      logs.flatMap(({ lines }) => lines.filter((each) => each === "info made a new certificate"));
    assert.equal(made().length, 1);
    const [first, other] = objects.bundles;
    assert.equal(first, other);
    const asked = { count: 0, ended: false };
    const asking = Promise.all(PORTS.map(async (port) => {
      while (!asked.ended) {
        assert.equal(await ask(port), "POST 100000");
        asked.count++;
      }
    }));
    // An assertion that fails meanwhile is seen by the end.
    asking.catch(() => {});
    // A connection that is kept open goes on with the certificate that it was made with.
    const kept = Deno.createHttpClient({ caCerts: [first!], poolMaxIdlePerHost: 1 });
    const keptAsk = async () => {
      const init = { method: "POST", body: "{}", client: kept };
      return await (await fetch(`https://localhost:${PORTS[0]}/validate`, init)).text();
    };
    assert.equal(await keptAsk(), "POST 2");
    objects.emptySecret();
    for (let passed = 0; passed < 120_000 && !served(2); passed += 10_000) {
      const before = asked.count;
      await until("requests go on", () => asked.count >= before + 4);
      await clock.advance(10_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until("both serve with the new certificate", () => served(2));
    assert.equal(made().length, 2);
    assert.equal(await keptAsk(), "POST 2");
    kept.close();
    asked.ended = true;
    await asking;
    assert.equal(objects.bundles[0]!.match(/BEGIN CERTIFICATE/g)!.length, 2);
    const onlyNew = Deno.createHttpClient({ caCerts: [atob(objects.secret.data!["ca.crt"]!)] });
    for (const port of PORTS) {
      const response = await fetch(`https://localhost:${port}/validate`, { client: onlyNew });
      assert.equal(await response.text(), "GET 0");
    }
    onlyNew.close();
  }));

Deno.test("network-dra webhook makes its certificate before it serves", async () => {
  const [api, objects] = [new SimulatedApiServer(), new WebhookObjects()];
  api.fault = objects.answer;
  api.start();
  const kubeconfig = await Deno.makeTempFile();
  await Deno.writeTextFile(kubeconfig, api.kubeconfig());
  const webhook = new AgentProcess(
    ["--listen", "localhost:9283", "--kubeconfig", kubeconfig, ...WebhookObjects.flags],
    { args: ["run", "--quiet", "--allow-all", "--no-check", "main.ts", "webhook"] },
  );
  try {
    await webhook.logged("admission reviews are served");
    const client = Deno.createHttpClient({ caCerts: [objects.bundles[1]!] });
    const response = await fetch("https://localhost:9283/healthz", { client });
    assert.equal(await response.text(), "ok\n");
    client.close();
    assert.equal(
      webhook.lines.find(({ msg }) => msg === "made a new certificate")?.why,
      "there is none",
    );
  } finally {
    await webhook.end();
    await api.stop();
    await Deno.remove(kubeconfig);
  }
});
