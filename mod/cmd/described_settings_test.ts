import assert from "node:assert/strict";
import { RUN_SETTINGS } from "./commands/run.ts";
import { describeSettings } from "./described_settings.ts";
import { readRunConfig } from "./run_config.ts";

Deno.test("describeSettings() says of every setting what it is and where it came from", () => {
  const file = "logLevel: debug\npolicy: {inline: false}\ncniTimeout: 10s\n";
  const given = readRunConfig(["--config", "/etc/c.yaml", "--cni-timeout=20s"], {
    env: (name) => name === "NETWORK_DRA_STATE_DIR" ? "/s" : undefined,
    readFile: () => file,
    hostname: () => "host-1",
    cores: 2,
  });
  const settings = describeSettings(given);
  assert.deepEqual(settings.map(({ name }) => name), [
    ...Object.keys(RUN_SETTINGS),
    "interfaces",
    "policy",
  ]);
  const of = (wanted: string) => {
    const { value, from, at = "" } = settings.find(({ name }) => name === wanted)!;
    return `${JSON.stringify(value)} ${from} ${at}`.trim();
  };
  assert.equal(of("cniTimeout"), '"20s" flag --cni-timeout');
  assert.equal(of("stateDir"), '"/s" environment NETWORK_DRA_STATE_DIR');
  assert.equal(of("logLevel"), '"debug" file /etc/c.yaml: logLevel');
  assert.equal(of("policy"), '{"inline":false} file /etc/c.yaml: policy');
  assert.equal(of("interfaces"), "{} default");
  assert.equal(of("listen"), '"127.0.0.1:9177" default');
  assert.equal(of("nodeName"), '"host-1" default');
  assert.equal(of("concurrency"), '"4" default');
  assert.equal(of("kubeconfig"), '"" default');
});
