/** The archive for a bug report, as a cluster's administrator has it written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { cli } from "../../support/cli.ts";
import { NODE, SECOND_NODE } from "../cluster.ts";
import { claim, pod } from "../objects.ts";
import type { Case } from "../space.ts";

interface Index {
  readonly files: readonly { readonly file: string }[];
  readonly missing: readonly unknown[];
}

/** The texts of an archive's files, by their paths within its one folder. */
async function unpacked(archive: string, folder: string): Promise<Map<string, string>> {
  await Deno.mkdir(folder);
  const args = ["-xzf", archive, "-C", folder, "--strip-components=1"];
  assert.ok((await new Deno.Command("tar", { args }).output()).success);
  const { stdout } = await new Deno.Command("find", {
    args: [folder, "-type", "f", "-printf", "%P\n"],
  }).output();
  const paths = new TextDecoder().decode(stdout).trim().split("\n");
  return new Map(
    await Promise.all(
      paths.map(async (path) =>
        [path, await Deno.readTextFile(join(folder, path))] as [string, string]
      ),
    ),
  );
}

export const SYSDUMP: Readonly<Record<string, Case>> = {
  "sysdump has each agent's log and status, and no names where it is told to": async (space) => {
    await space.apply(
      claim("lan", [{ name: "lan", subnet: 1 }]),
      pod("otter-1", { claims: ["lan"], node: NODE }),
      claim("nosuch", [{ name: "lan", type: "late", subnet: 1 }]),
      pod("no-plugin", { claims: ["nosuch"], node: SECOND_NODE }),
    );
    await space.running("otter-1");
    await space.assertEvent("no-plugin", /FailedPrepareDynamicResources: .*"late"/);
    const folder = await Deno.makeTempDir();
    try {
      const kubeconfig = await space.cluster.adminKubeconfig();
      const dump = async (name: string, ...words: string[]) => {
        const archive = join(folder, `${name}.tar.gz`);
        const { code, stdout, stderr } = await cli([
          ...["sysdump", "-o", archive, "--kubeconfig", kubeconfig, ...words],
        ]);
        assert.equal(code, 0, stdout + stderr);
        return await unpacked(archive, join(folder, name));
      };
      const files = await dump("whole");
      const index = JSON.parse(files.get("index.json")!) as Index;
      assert.deepEqual(index.missing, []);
      assert.deepEqual(
        index.files.map(({ file }) => file).toSorted(),
        [...files.keys()].filter((path) => path !== "index.json").toSorted(),
      );
      const agents = [...files].filter(([path]) => /^agents\/[^/]+\/status\.json$/.test(path));
      assert.deepEqual(
        agents.map(([, text]) => JSON.parse(text).agents[0].node).toSorted(),
        [NODE, SECOND_NODE],
      );
      const logs = [...files].filter(([path]) => /^agents\/[^/]+\/current\.log$/.test(path));
      assert.equal(logs.length, 2, [...files.keys()].join("\n"));
      assert.ok(logs.some(([, text]) => text.includes("attached network")));
      const { namespace } = space;
      assert.match(files.get(`explain/${namespace}/no-plugin.txt`)!, /a CNI plugin is missing/);

      const redacted = [...await dump("redacted", "--redact")].flat().join("\n");
      for (const name of [namespace, "no-plugin", "otter-1", "nosuch"]) {
        const at = redacted.indexOf(name);
        assert.equal(at, -1, `${name} is in the archive: ${redacted.slice(at - 200, at + 200)}`);
      }
      assert.doesNotMatch(redacted, /10\.10\.1\.\d/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
};
