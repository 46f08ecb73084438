/** The way of one pod, as an OpenTelemetry collector sees it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AgentNode } from "../support/agent_node.ts";
import { described, OtlpCollector } from "../support/otlp_collector.ts";

/** Answers VERSION, and has no address for anyone. */
const BROKEN = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
ADD) echo '{"cniVersion":"1.0.0","code":11,"msg":"no address left"}'; exit 1 ;;
esac
`;

Deno.test("a pod's steps are in one trace, which its events and the log name", async () => {
  await using collector = new OtlpCollector();
  await using node = await AgentNode.start(["--traces-endpoint", collector.endpoint]);
  const pod = await node.run();
  await node.ready(pod);
  const trace = pod.sandbox.uid.replaceAll("-", "");
  const steps = () => collector.spans.filter(({ traceId }) => traceId === trace);
  const names = () => new Set(steps().map(({ name }) => name));
  await node.until(
    () => names().size === 4,
    () => `only the steps ${[...names()].join(", ")} have arrived`,
  );
  assert.deepEqual([...names()].toSorted(), ["add", "gate", "prepare", "status"]);
  for (const { attributes, status } of steps()) {
    assert.ok(described(attributes).includes(`k8s.pod.name=${pod.name}`));
    assert.equal(status.code, 0);
  }
  const add = steps().find(({ name }) => name === "add")!;
  assert.ok(described(add.attributes).some((each) => /^plugin=\w/.test(each)));
  assert.ok(node.agent.lines.some((line) => /^attached /.test(line.msg) && line.trace === trace));

  await Deno.writeTextFile(join(node.plugins, "broken"), BROKEN, { mode: 0o755 });
  const broken = await node.prepare({ type: "broken" });
  await node.runtime.runPodSandbox(broken.sandbox);
  node.pods.push(broken.sandbox);
  await node.event("NetworkAttachFailed", broken);
  const other = broken.sandbox.uid.replaceAll("-", "");
  const event = node.api.events.all().find(({ involvedObject: { name } }) => name === broken.name);
  const { annotations } = event!.metadata as { annotations?: Record<string, string> };
  assert.equal(annotations?.["dra.networking/trace-id"], other);
  const failed = () =>
    collector.spans.find(({ traceId, name }) => traceId === other && name === "add");
  await node.until(() => failed() !== undefined, () => "the failed ADD has not arrived");
  assert.match(failed()!.status.message!, /no address left/);
});
