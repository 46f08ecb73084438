import assert from "node:assert/strict";
import { withApi } from "../../tests/support/api_connection.ts";
import { KubeCluster } from "./cluster.ts";
import { yamlSafe } from "./yaml_text.ts";

Deno.test("asYamlTakesIt() shows what YAML would refuse as U+FFFD, and leaves all else", () => {
  const cases = {
    "delete\x7f": "delete\ufffd",
    "C1 \x80\x90\x9f": "C1 \ufffd\ufffd\ufffd",
    "half \ud83d": "half \ufffd",
    "\udc00 half": "\ufffd half",
    "none \ufffe\uffff": "none \ufffd\ufffd",
    '\x1b[31mred\x00\n"\\': '\x1b[31mred\x00\n"\\',
    "\\ud83d": "\\ud83d",
    "ä 😀 \u2028 \ufeff": "ä 😀 \u2028 \ufeff",
  };
  for (const [text, taken] of Object.entries(cases)) {
    assert.deepEqual(yamlSafe({ [text]: [text] }), { [taken]: [taken] });
  }
});

Deno.test("applyDeviceStatus() sends what a plugin printed so that YAML takes it", () =>
  withApi(async ({ api, connection }) => {
    const driver = "dra.networking";
    const device = { driver, pool: "node", device: "cni" };
    const results = [{ request: "r", ...device }];
    const { metadata } = api.put({
      metadata: { namespace: "default", name: "a" },
      status: { allocation: { devices: { results } } },
    });
    let sent = "";
    api.fault = async (request: Request) => {
      if (request.method === "PATCH") sent = await request.clone().text();
      return undefined;
    };
    const cluster = new KubeCluster(connection, { driver, nodeName: "node" });
    const condition = {
      type: "Ready" as const,
      status: "False" as const,
      reason: "NetworkInterfaceNotReady" as const,
      message: "no lease\x7f of \ud83d",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    await cluster.applyDeviceStatus(
      metadata as never,
      [{ ...device, conditions: [condition] }],
      new AbortController().signal,
    );
    assert.match(sent, /"message":"no lease\ufffd of \ufffd"/);
  }));
