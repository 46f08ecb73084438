import assert from "node:assert/strict";
import { join } from "node:path";
import { pathInRoot } from "./path_in_root.ts";

Deno.test("pathInRoot() follows links as a process in that root would", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(root, "data/v2/bin"), { recursive: true });
    await Deno.mkdir(join(root, "var"));
    const links: Readonly<Record<string, string>> = {
      "data/current": "/data/v2",
      "opt": "var/opt",
      "var/opt": "../data",
      "etc": "../../../../data",
      "loop": "/loop",
      "gone": "/nowhere",
    };
    for (const [link, target] of Object.entries(links)) {
      await Deno.symlink(target, join(root, link));
    }
    const cases: Readonly<Record<string, string>> = {
      "/data/v2/bin": "data/v2/bin",
      "/data/current/bin": "data/v2/bin",
      "/opt/current/bin": "data/v2/bin",
      "/etc/v2": "data/v2",
      "/../../data/./v2/../v2": "data/v2",
      "/data/v3/bin": "data/v3/bin",
      "/gone/bin": "nowhere/bin",
    };
    for (const [path, wanted] of Object.entries(cases)) {
      assert.equal(pathInRoot(root, path), join(root, wanted), path);
    }
    assert.throws(() => pathInRoot(root, "/loop/x"), /\/loop\/x .*too many symbolic links/);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
