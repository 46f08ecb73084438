import assert from "node:assert/strict";
import { LEFT_OUT, textWithoutSecrets, withoutSecrets } from "./secrets.ts";

const BODY = "MIIEow+/==\n".repeat(3);

Deno.test("textWithoutSecrets() leaves out what is a secret, and nothing else", () => {
  const cases: readonly (readonly [text: string, clean: string])[] = [
    ["Authorization: Bearer abc.def", `Authorization: ${LEFT_OUT}`],
    ['{"Authorization":"Basic YWJj","mtu":1}', `{"Authorization":"${LEFT_OUT}","mtu":1}`],
    ["sent Bearer abcdef, then ended", `sent Bearer ${LEFT_OUT}, then ended`],
    ["password: hunter2\nmtu: 1500", `password: ${LEFT_OUT}\nmtu: 1500`],
    ["DB_PASSWORD=hunter2 MTU=1500", `DB_PASSWORD=${LEFT_OUT} MTU=1500`],
    ['{"apiKey": "a \\" b", "mtu": 1}', `{"apiKey": "${LEFT_OUT}", "mtu": 1}`],
    [
      'said "{\\"token\\":\\"x y\\",\\"mtu\\":1}"',
      `said "{\\"token\\":\\"${LEFT_OUT}\\",\\"mtu\\":1}"`,
    ],
    ["run --api-token abc --mtu 1500", `run --api-token ${LEFT_OUT} --mtu 1500`],
    ["https://me:pass@host/x", `https://${LEFT_OUT}@host/x`],
    ["GET /x?access_token=abc&mtu=1", `GET /x?access_token=${LEFT_OUT}&mtu=1`],
    [
      `a\n-----BEGIN EC PRIVATE KEY-----\n${BODY}-----END EC PRIVATE KEY-----\nb`,
      `a\n${LEFT_OUT}\nb`,
    ],
    [`-----BEGIN PRIVATE KEY-----\n${BODY}`, LEFT_OUT],
    [`${BODY}-----END PRIVATE KEY-----\nb`, `${LEFT_OUT}\nb`],
    ["privateKey: |\n  one\n  two\nmtu: 1500\n", `privateKey: ${LEFT_OUT}\nmtu: 1500\n`],
    ["  - secret: >-\n      one\n    mtu: 1\n", `  - secret: ${LEFT_OUT}\n    mtu: 1\n`],
    ["join abcdef.0123456789abcdef now", `join ${LEFT_OUT} now`],
    // URLs: without a user, with a password that is none of a URL, with a token for a user.
    ["redis://:hunter2@cache:6379", `redis://${LEFT_OUT}@cache:6379`],
    ["postgres://u:hun/ter@2@db/x", `postgres://${LEFT_OUT}@db/x`],
    ["clone https://hunter2@git.example/x", `clone https://${LEFT_OUT}@git.example/x`],
    ["curl -u me:hunter2 -v", `curl -u ${LEFT_OUT} -v`],
    // Lists, objects, and texts with other separators.
    ['{"auths":{"r":{"auth":"aHVu"}}}', `{"auths":{"r":{"auth":"${LEFT_OUT}"}}}`],
    ['tokens: ["one", "two"], mtu: 1', `tokens: ${LEFT_OUT}, mtu: 1`],
    ["tokens:\n  - one\n  - two\nmtu: 1\n", `tokens: ${LEFT_OUT}\nmtu: 1\n`],
    ['token={"v":"one"} mtu=1', `token=${LEFT_OUT} mtu=1`],
    ["password=a,hunter2 token=abc,mtu=1", `password=${LEFT_OUT} token=${LEFT_OUT},mtu=1`],
    ["DB_PASS=hunter2 dbPwd=hunter2", `DB_PASS=${LEFT_OUT} dbPwd=${LEFT_OUT}`],
    ["GET /x?password%3Dhunter2", `GET /x?password%3D${LEFT_OUT}`],
    ["<password>hunter2</password>", `<password>${LEFT_OUT}</password>`],
    ['invalid token "hunter2"', `invalid token "${LEFT_OUT}"`],
    [
      '{\\\\\\"password\\\\\\":\\\\\\"x y\\\\\\",\\\\\\"mtu\\\\\\":1}',
      `{\\\\\\"password\\\\\\":\\\\\\"${LEFT_OUT}\\\\\\",\\\\\\"mtu\\\\\\":1}`,
    ],
    [
      `> -----BEGIN RSA PRIVATE KEY-----\n> DEK-Info: x\n> ${BODY}> -----END RSA PRIVATE KEY-----\nb`,
      `> ${LEFT_OUT}\nb`,
    ],
    // What is in base64, such as a kubeconfig, a token, a key that does not begin the text.
    [`conf ${btoa("apiVersion: v1\nuser: {token: hunter2}")} end`, `conf ${LEFT_OUT} end`],
    [btoa("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"), LEFT_OUT],
    [btoa("x -----BEGIN EC PRIVATE KEY-----\nMIIB"), LEFT_OUT],
    // What is none stays.
    [btoa("apiVersion: v1\nmtu: 1500\nname: lan"), ""],
    ['secret "registry" not found; authMode: node; passed=3; compass: 5', ""],
    ["https://10.0.0.1:6443/x@y /var/lib/kubelet/plugins/dra.networking/plugin", ""],
    [
      "Basic networking, sha256:4f1c5a1e0b5e4b0e9d0a2f8f3a1c7e554f1c5a1e0b5e4b0e9d0a2f8f3a1c7e55",
      "",
    ],
    ["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", ""],
    ["the token has expired", ""],
    ['plugin type="macvlan" failed (add): Link not found', ""],
    ["2026-11-30T10:00:00Z https://10.0.0.1:6443/api/v1 a:b@c", ""],
  ];
  for (const [text, clean] of cases) assert.equal(textWithoutSecrets(text), clean || text);
});

Deno.test("textWithoutSecrets() takes time in proportion to a text, whatever it holds", () => {
  const pieces = [
    "http://",
    "http://a:",
    "-----BEGIN PRIVATE KEY-----",
    "token: ",
    'token \\"',
    "token={",
    "a",
    "-",
    "token:\n- ",
    "<token>",
    "password",
    '\\"',
    "token=a,",
    "Basic A",
    "token: |\n  ",
    "eyJaaaaa.",
  ];
  for (const piece of pieces) {
    const started = performance.now();
    textWithoutSecrets(piece.repeat(200_000 / piece.length));
    // Tens of milliseconds; one whose time is quadratic takes minutes.
    assert.ok(performance.now() - started < 5_000, piece);
  }
});

Deno.test("withoutSecrets() leaves out lists and objects, but not what refers to a Secret", () => {
  assert.deepEqual(
    withoutSecrets({
      tokens: ["a", 1],
      token: { value: "a", more: [{ deep: "b" }] },
      secretRef: { name: "s", namespace: "shop", key: "k" },
      variables: [{ key: "TOKEN", value: "a" }, { key: "MTU", value: "b" }],
      auth: { user: "u", pass: "p" },
      mtu: 1500,
    }),
    {
      tokens: [LEFT_OUT, LEFT_OUT],
      token: { value: LEFT_OUT, more: [{ deep: LEFT_OUT }] },
      secretRef: { name: "s", namespace: "shop", key: "k" },
      variables: [{ key: "TOKEN", value: LEFT_OUT }, { key: "MTU", value: "b" }],
      auth: { user: LEFT_OUT, pass: LEFT_OUT },
      mtu: 1500,
    },
  );
});

Deno.test("withoutSecrets() leaves out fields, variables and arguments by their names", () => {
  assert.deepEqual(
    withoutSecrets({
      metadata: { name: "a", managedFields: [1] },
      automountServiceAccountToken: true,
      imagePullSecrets: [{ name: "registry" }],
      pin: 1234,
      plugin: { psk: "x", password: 1234, mtu: 1500, note: "token=abc" },
      env: [
        { name: "API_KEY", value: "x" },
        { name: "MTU", value: "1500" },
        { name: "TOKEN", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
      ],
      args: ["--token", "x", "--mtu", "1500", "--secret=x"],
    }),
    {
      metadata: { name: "a" },
      automountServiceAccountToken: true,
      imagePullSecrets: [{ name: "registry" }],
      pin: 1234,
      plugin: { psk: LEFT_OUT, password: LEFT_OUT, mtu: 1500, note: `token=${LEFT_OUT}` },
      env: [
        { name: "API_KEY", value: LEFT_OUT },
        { name: "MTU", value: "1500" },
        { name: "TOKEN", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
      ],
      args: ["--token", LEFT_OUT, "--mtu", "1500", `--secret=${LEFT_OUT}`],
    },
  );
});
