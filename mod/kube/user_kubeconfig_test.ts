import assert from "node:assert/strict";
import { join } from "node:path";
import { userKubeconfig } from "./user_kubeconfig.ts";

function kubeconfig(name: string, namespace?: string): string {
  return JSON.stringify({
    clusters: [{ name, cluster: { server: `https://${name}.example.com` } }],
    users: [{ name, user: { token: "secret" } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    "current-context": name,
  });
}

async function withFiles(
  files: Readonly<Record<string, string>>,
  body: (path: (name: string) => string) => void,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    body((name) => join(folder, name));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("userKubeconfig() reads one file or several, and takes --context", () =>
  withFiles({ one: kubeconfig("one", "team"), other: kubeconfig("other") }, (path) => {
    const server = (options: Parameters<typeof userKubeconfig>[0]) => {
      const { config, namespace } = userKubeconfig(options);
      return [config.getCurrentCluster()!.server, namespace];
    };
    const [one, other] = [path("one"), path("other")];
    assert.deepEqual(server({ kubeconfig: one }), ["https://one.example.com", "team"]);
    assert.deepEqual(server({ kubeconfig: other }), ["https://other.example.com", "default"]);
    const both = `${path("missing")}:${one}:${other}`;
    assert.deepEqual(server({ kubeconfig: both }), ["https://one.example.com", "team"]);
    assert.deepEqual(server({ kubeconfig: both, context: "other" }), [
      "https://other.example.com",
      "default",
    ]);
  }));

Deno.test("userKubeconfig() says what is wrong, and shows no credentials", () =>
  withFiles({
    one: kubeconfig("one"),
    broken: "users: [{ user: { token: secret }",
    other: "just words: secret\n  x",
    dangling: JSON.stringify({ ...JSON.parse(kubeconfig("one")), "current-context": "prod" }),
    contextless: JSON.stringify({ clusters: [], users: [], contexts: [] }),
  }, (path) => {
    const cases: [Parameters<typeof userKubeconfig>[0], RegExp][] = [
      [{ kubeconfig: path("missing") }, /^cannot \w+ .*\/missing: no such file or directory$/],
      [{ kubeconfig: path("broken") }, /\/broken: is not a kubeconfig: /],
      [{ kubeconfig: path("other") }, /\/other: it has no contexts: it is empty/],
      [
        { kubeconfig: path("dangling") },
        /dangling: there is no current context "prod"; give --context, one of: one$/,
      ],
      [{ kubeconfig: path("contextless") }, /contextless: it has no contexts: it is empty/],
      [
        { kubeconfig: path("one"), context: "prod" },
        /\/one: there is no context "prod"; there are: one$/,
      ],
      [{}, /^there is no kubeconfig: give --kubeconfig, set KUBECONFIG, or create ~/],
      [
        { kubeconfig: `${path("missing")}:${path("missing2")}` },
        /^KUBECONFIG: there is none of .*\/missing, .*\/missing2$/,
      ],
    ];
    for (const [options, message] of cases) {
      assert.throws(() => userKubeconfig(options), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /secret|\n/);
        return true;
      });
    }
  }));

Deno.test("userKubeconfig() separates the files of KUBECONFIG as the system does", () =>
  withFiles({ one: kubeconfig("one"), two: kubeconfig("two") }, (path) => {
    const given = { kubeconfig: `${path("one")};${path("two")}`, context: "two" };
    assert.equal(userKubeconfig({ ...given, separator: ";" }).config.getCurrentContext(), "two");
    assert.throws(() => userKubeconfig({ ...given, separator: ":" }), /no such file/);
  }));

Deno.test("userKubeconfig() says of YAML that is not a kubeconfig what it lacks", () =>
  withFiles({ null: "null", list: "[1, 2]", fields: "clusters: []\nusers: []\n" }, (path) => {
    const cases: Readonly<Record<string, RegExp>> = {
      null: /\/null: is not a kubeconfig: it must have clusters, users and contexts, each a list$/,
      list: /\/list: it has no contexts: it is empty, or is not a kubeconfig$/,
      fields: /\/fields: it has no contexts: it is empty, or is not a kubeconfig$/,
    };
    for (const [name, message] of Object.entries(cases)) {
      assert.throws(() => userKubeconfig({ kubeconfig: path(name) }), { message });
    }
  }));
