import assert from "node:assert/strict";
import { join } from "node:path";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { SCENES } from "../../tests/support/cluster_scenes.ts";
import { runCommandLine } from "./command_line.ts";

const healthy = SCENES.find(({ name }) => name === "healthy")!.cluster;

/** What `test` says of a made-up cluster. */
async function said(
  flags: readonly string[],
  prepare: (api: ClusterApi) => void = () => {},
): Promise<{ readonly code: number; readonly stderr: string }> {
  let outcome = { code: -1, stderr: "" };
  await withClusterApi(healthy, async (api) => {
    prepare(api);
    const folder = await Deno.makeTempDir();
    const kubeconfig = join(folder, "kubeconfig");
    await Deno.writeTextFile(kubeconfig, api.kubeconfig());
    const { error } = console;
    let stderr = "";
    console.error = (line: string) => stderr += `${line}\n`;
    try {
      const argv = ["test", "--kubeconfig", kubeconfig, ...flags];
      outcome = { code: await runCommandLine(argv, import.meta.url), stderr };
      outcome = { ...outcome, stderr };
    } finally {
      console.error = error;
      await Deno.remove(folder, { recursive: true });
    }
  });
  return outcome;
}

Deno.test("test says what to do where there is no driver, no class and no right", async () => {
  const forbid = (api: ClusterApi) => {
    api.fault = (plural) =>
      plural === "resourceslices"
        ? Response.json({ message: "resourceslices is forbidden" }, { status: 403 })
        : undefined;
  };
  for (
    const [flags, expected, prepare] of [
      [["--driver-name", "other"], /no node has devices of the driver other\n {2}what to do: /],
      [["--class", "nosuch"], /there is no DeviceClass nosuch; there are: /],
      [["--class", "any", "--nodes", "node-9"], /node node-9 has no devices of .*\n.*did you mean/],
      [[], /you have no right to list resourceslices/, forbid],
    ] as const
  ) {
    const { code, stderr } = await said(flags, prepare);
    assert.match(stderr, expected);
    assert.equal(code, 1);
  }
});

Deno.test("test gives up an API server that hangs", async () => {
  const { code, stderr } = await said(["--request-timeout", "200ms"], (api) => {
    api.fault = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return undefined;
    };
  });
  assert.match(stderr, /no answer from http/);
  assert.equal(code, 1);
});

Deno.test("test refuses flags that do not go together, exit code 2", async () => {
  for (
    const [flags, expected] of [
      [["--network", "lan", "--config", "x.yaml"], /give only one of them/],
      [["--network", "lan", "--interface", "eth0"], /--interface is for the test's own network/],
      [["--image-pull-secret", "x"], /needs --namespace/],
      [["--nodes", "a,b,c"], /the name of a node, or two names/],
      [["--config", "/nonexistent.yaml"], /--config \/nonexistent\.yaml: no such file/],
    ] as const
  ) {
    const { code, stderr } = await said(flags);
    assert.match(stderr, expected);
    assert.equal(code, 2);
  }
});
