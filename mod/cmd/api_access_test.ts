import assert from "node:assert/strict";
import { apiAccess } from "./api_access.ts";

const kubeconfig = (user: string, server = "https://10.0.0.1:6443") => `
current-context: here
contexts: [{name: other, context: {cluster: x, user: x}}, {name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "${server}", certificate-authority: pki/ca.crt}}]
users: [{name: u, user: {${user}}}]
`;

function access(text: string | undefined, env: Readonly<Record<string, string>> = {}) {
  return apiAccess(text === undefined ? undefined : "/etc/k/config", {
    env: (name) => env[name],
    readFile: (path) => {
      assert.equal(path, "/etc/k/config");
      return text!;
    },
  });
}

Deno.test("what a kubeconfig names: the server and the files of its current context", () => {
  assert.deepEqual(access(kubeconfig("client-certificate: a.crt, client-key: /k/a.key")), {
    host: "10.0.0.1:6443",
    files: ["/etc/k/config", "/etc/k/pki/ca.crt", "/etc/k/a.crt", "/k/a.key"],
  });
  assert.equal(
    access(kubeconfig("token: x", "https://api.example.com")).host,
    "api.example.com:443",
  );
  assert.equal(access(kubeconfig("token: x", "http://[::1]:8080")).host, "[::1]:8080");
  assert.deepEqual(access(kubeconfig("tokenFile: t")).files.slice(2), ["/etc/k/t"]);
});

Deno.test("in a pod: the service and the ServiceAccount", () => {
  assert.deepEqual(
    access(undefined, { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" }),
    { host: "[fd00::1]:443", files: ["/var/run/secrets/kubernetes.io/serviceaccount"] },
  );
  assert.throws(() => access(undefined), /^Error: --kubeconfig is required outside of a cluster/);
});

Deno.test("credentials that take a program are refused, with what to give instead", () => {
  assert.throws(
    () => access(kubeconfig("exec: {command: aws}")),
    /exec is not supported, for the agent runs nothing but CNI plugins: give a token/,
  );
});

Deno.test("a file that is not a kubeconfig is refused, and nothing of it is repeated", () => {
  assert.throws(() => access("{}"), /^Error: \/etc\/k\/config: the current context has no cluster/);
  assert.throws(() => access(""), /^Error: \/etc\/k\/config: is not a kubeconfig$/);
  assert.throws(() => access("users: [token: s3cr3t"), (error: Error) => {
    assert.match(error.message, /^\/etc\/k\/config: is not valid YAML: /);
    return !error.message.includes("s3cr3t");
  });
});

Deno.test("what would be passed over is refused: a proxy, another name, another user", () => {
  for (const field of ["as: admin", "username: admin"]) {
    const says = new RegExp(`^Error: /etc/k/config: users: ${field.split(":")[0]}: not supported`);
    assert.throws(() => access(kubeconfig(field)), says);
  }
  for (const field of ["proxy-url: http://p", "tls-server-name: api"]) {
    const says = new RegExp(
      `^Error: /etc/k/config: clusters: ${field.split(":")[0]}: not supported`,
    );
    const text = kubeconfig("token: x").replace("{server", `{${field}, server`);
    assert.throws(() => access(text), says);
  }
});
