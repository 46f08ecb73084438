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
import { NAMESPACE, render, type Values } from "../chart.ts";
import { PARAMETERS_CASES } from "../../support/parameters_cases.ts";
import { parseParameters } from "../../../mod/claim/parameters.ts";
import { errorMessage } from "../../../mod/async/error_message.ts";
import { parse } from "yaml";

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

/** Where the two replicas are asked: about claims and all else, and about templates. */
const PORTS = [9444, 9445] as const;
/** What the chart installs for a certificate that the webhook makes itself, in its order. */
const OWN = [
  ...["ServiceAccount", "Secret", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
  "ValidatingWebhookConfiguration",
];

/** The chart's objects with these values, without those of the agent. */
async function rendered(values: Values, names: RegExp): Promise<Manifest[]> {
  const found = (await render(values)) as Json[];
  return found.filter(({ metadata }) => names.test(metadata.name));
}

/** A kubeconfig of the webhook's ServiceAccount: it has the chart's rights and no others. */
async function accountKubeconfig({ cluster }: Space, folder: string): Promise<string> {
  const { api } = cluster;
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/network-dra-webhook/token`;
  const { status: { token } } = await api.request("POST", path, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { expirationSeconds: 3600 },
  });
  const admin = parse(await Deno.readTextFile(await cluster.adminKubeconfig())) as Json;
  const users = admin.users.map(({ name }: Json) => ({ name, user: { token } }));
  const kubeconfig = join(folder, "kubeconfig");
  await Deno.writeTextFile(kubeconfig, JSON.stringify({ ...admin, users }));
  return kubeconfig;
}

/** Runs with two replicas that make their certificate themselves, installed as the chart does. */
async function withOwnCertificate(
  space: Space,
  body: (replicas: readonly AgentProcess[], configuration: Manifest) => Promise<void>,
): Promise<void> {
  const { api } = space.cluster;
  const folder = await Deno.makeTempDir();
  const objects = (await rendered({
    webhook: {
      enabled: true,
      failurePolicy: "Fail",
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": space.namespace } },
    },
  }, /^network-dra-webhook/)).filter(({ kind }) => OWN.includes(kind)).map((each) => {
    if (each.kind !== "ValidatingWebhookConfiguration") return each;
    const webhooks = (each.webhooks as Json[]).map((webhook) => {
      const isTemplates = webhook.name.startsWith("resourceclaimtemplates.");
      const url = `https://localhost:${PORTS[isTemplates ? 1 : 0]}/validate`;
      return { ...webhook, clientConfig: { url } };
    });
    return { ...each, webhooks };
  }).toSorted((a, b) => OWN.indexOf(a.kind) - OWN.indexOf(b.kind));
  const configuration = objects.at(-1)!;
  const replicas: AgentProcess[] = [];
  try {
    for (const each of objects) await api.apply(each);
    const kubeconfig = await accountKubeconfig(space, folder);
    for (const port of PORTS) {
      replicas.push(
        new AgentProcess([
          ...["--listen", `localhost:${port}`, "--kubeconfig", kubeconfig],
          ...["--certificate-secret", `${NAMESPACE}/network-dra-webhook-tls`],
          ...["--webhook-configuration", "network-dra-webhook", "--server-name", "localhost"],
        ], { args: ["run", "--quiet", "--allow-all", "--no-check", "main.ts", "webhook"] }),
      );
    }
    for (const each of replicas) await each.logged("admission reviews are served");
    await body(replicas, configuration);
  } finally {
    for (const { kind, metadata: { name, namespace } } of objects.toReversed()) {
      await api.delete({ kind, name, namespace });
    }
    for (const each of replicas) await each.end();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A claim, or a template, with these parameters; without, with good ones. */
function withParameters(kind: string, name: string, parameters?: unknown): Manifest {
  const bad = claim(name, [{ name: "lan", subnet: 43, parameters }]);
  if (kind === "ResourceClaim") return bad;
  return { ...bad, kind, spec: { spec: bad.spec } };
}

const unique = (name: string) => `${name}-${crypto.randomUUID().slice(0, 8)}`;

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
  "the webhook changes the certificate that it made while claims are applied, and none fails":
    async (space) => {
      const { api } = space.cluster;
      const secret = { kind: "Secret", namespace: NAMESPACE, name: "network-dra-webhook-tls" };
      await withOwnCertificate(space, async (replicas, configuration) => {
        const { data: first } = await api.get(secret);
        const kinds = ["ResourceClaim", "ResourceClaimTemplate"];
        for (const kind of kinds) {
          await until(`the webhook is asked about a ${kind}`, async () => {
            const bad = withParameters(kind, unique("early"), NO_CONFIGURATION);
            const said = await refusal(space, bad);
            if (said === undefined) await space.delete(kind, bad.metadata.name);
            else assert.match(said, /parameters\.config: is missing: it holds/);
            return said;
          });
        }
        const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${secret.name}`;
        await api.request("PATCH", path, { data: null }, "application/merge-patch+json");
        const changed = () =>
          replicas.every(({ lines }) =>
            lines.filter(({ msg }) => msg === "admission reviews are served").length === 2
          );
        let [asked, further] = [0, 0];
        const end = Date.now() + 240_000;
        while (further < 20) {
          assert.ok(Date.now() < end, "the replicas do not change their certificate");
          const kind = kinds[asked++ % 2]!;
          const good = withParameters(kind, unique("good"));
          assert.equal(await refusal(space, good), undefined);
          await space.delete(kind, good.metadata.name);
          const said = await refusal(space, withParameters(kind, unique("bad"), NO_CONFIGURATION));
          assert.match(said ?? "it is taken", /parameters\.config: is missing: it holds/);
          if (changed()) further++;
        }
        const { data: next } = await api.get(secret);
        assert.notEqual(next["tls.crt"], first["tls.crt"]);
        assert.equal(
          replicas.flatMap(({ lines }) =>
            lines.filter(({ msg }) => msg === "made a new certificate")
          )
            .length,
          2,
          "one of the replicas made each",
        );
        // An upgrade of the chart leaves what the webhook has written.
        await api.apply(configuration);
        const { webhooks } = await api.get({
          kind: configuration.kind,
          name: configuration.metadata.name,
        });
        for (const { clientConfig } of webhooks) {
          assert.ok(atob(clientConfig.caBundle).includes(atob(next["ca.crt"])));
          assert.ok(atob(clientConfig.caBundle).includes(atob(first["ca.crt"])));
        }
        console.log(`      ${asked} claims and templates, good and bad, while it changed`);
      });
    },
  "without the webhook, the policies for parameters refuse on the API server what the agent refuses, in its words":
    async (
      space,
    ) => {
      const { api } = space.cluster;
      const objects = await rendered({
        parametersPolicy: {
          enabled: true,
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": space.namespace } },
        },
      }, /^network-dra-(resourceclaims|resourceclaimtemplates)$/);
      assert.equal(objects.length, 4);
      try {
        for (const each of objects) await api.apply(each);
        for (const kind of ["ResourceClaim", "ResourceClaimTemplate"]) {
          await until(`the policy holds for ${kind}`, async () => {
            const bad = withParameters(kind, unique("early"), NO_CONFIGURATION);
            const said = await refusal(space, bad);
            if (said === undefined) await space.delete(kind, bad.metadata.name);
            return said;
          });
          const spec = kind === "ResourceClaim" ? "spec" : "spec.spec";
          const at = `${spec}.devices.config[0].opaque.parameters`;
          for (const [what, { given, cel }] of Object.entries(PARAMETERS_CASES)) {
            const object = withParameters(kind, unique("case"), given);
            const said = await refusal(space, object);
            assert.equal(said !== undefined, cel === "refuses", `${what}: ${said}`);
            if (said === undefined) await space.delete(kind, object.metadata.name);
            else assert.ok(agentSays(given, at).startsWith(deniedBy(said)), `${what}: ${said}`);
          }
        }
        const warnings = (await Promise.all(
          objects.filter(({ kind }) => kind === "ValidatingAdmissionPolicy").map((each) =>
            until("the types of the policy are checked", async () => {
              const { metadata, status } = await api.get({
                kind: each.kind,
                name: each.metadata.name,
              });
              if (status?.observedGeneration !== metadata.generation) return undefined;
              return (status?.typeChecking?.expressionWarnings ?? []) as Json[];
            })
          ),
        )).flat();
        assert.deepEqual(warnings, []);
      } finally {
        for (const { kind, metadata: { name } } of objects) await api.delete({ kind, name });
      }
    },
};

function agentSays(given: unknown, path: string): string {
  try {
    parseParameters(given, path);
    return "";
  } catch (error) {
    return errorMessage(error);
  }
}

/** The message of a policy, without what the API server says before it. */
export function deniedBy(said: string): string {
  const { message } = JSON.parse(said.slice(said.indexOf("{"))) as { readonly message: string };
  return message.replace(/^.* denied request: /s, "");
}
