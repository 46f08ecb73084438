import assert from "node:assert/strict";
import { join } from "node:path";
import { type ClusterApi, withClusterApi } from "../../tests/support/cluster_api.ts";
import { EXITED_0, exitedWith } from "../../tests/support/exec_server.ts";
import { rawCluster } from "../../tests/support/cluster_objects.ts";
import { withUserConnection } from "../../tests/support/user_connection.ts";
import { ReadError } from "../cluster/ports.ts";
import { KubeConnection } from "./connection.ts";
import { KubePodExec } from "./pod_exec.ts";
import { userKubeconfig } from "./user_kubeconfig.ts";

const PLACE = { namespace: "kube-system", pod: "agent-1", container: "agent" };

function withExec(body: (exec: KubePodExec, api: ClusterApi) => Promise<void>): Promise<void> {
  return withClusterApi(
    rawCluster(),
    (api) =>
      withUserConnection(api, (connection) => body(new KubePodExec(connection), api), {
        timeout: 2_000,
      }),
  );
}

Deno.test("KubePodExec gives what a program prints, and its exit code", () =>
  withExec(async (exec, api) => {
    const long = "é".repeat(100_000);
    api.program = (pod, command) =>
      pod === "agent-1"
        ? { stdout: `${command.join("|")}${long}`, stderr: "so", status: exitedWith(3) }
        : undefined;
    const found = await exec.exec(PLACE, ["/x", "a b", "-o=json"], AbortSignal.timeout(5_000));
    assert.deepEqual(found, { code: 3, stdout: `/x|a b|-o=json${long}`, stderr: "so" });
    api.program = () => ({ status: EXITED_0 });
    assert.deepEqual(await exec.exec(PLACE, ["/x"], AbortSignal.timeout(5_000)), {
      code: 0,
      stdout: "",
      stderr: "",
    });
  }));

Deno.test("KubePodExec says why a program cannot be run", () =>
  withExec(async (exec, api) => {
    const refused = (reason: ReadError["reason"], says: RegExp) =>
      assert.rejects(exec.exec(PLACE, ["/x"], AbortSignal.timeout(5_000)), (error) => {
        assert.ok(error instanceof ReadError);
        assert.equal(error.reason, reason);
        assert.match(error.message, says);
        return true;
      });
    await refused("failed", /cannot run a program in the pod kube-system\/agent-1: .*not found/);
    api.fault = () => Response.json({ message: "pods/exec is forbidden" }, { status: 403 });
    await refused("forbidden", /no right to run programs in the pod kube-system\/agent-1 \(pods/);
    api.fault = () => Response.json({ message: "no backend" }, { status: 502 });
    await refused("failed", /cannot run a program in the pod kube-system\/agent-1: /);
  }));

Deno.test("KubePodExec does not wait longer than it may", () =>
  withExec(async (exec, api) => {
    api.program = () => ({ hangs: true, stdout: "begun" });
    await assert.rejects(exec.exec(PLACE, ["/x"], AbortSignal.timeout(300)), {
      name: "ReadError",
      message: /pod kube-system\/agent-1: .* did not say in time how \/x ended/,
    });
  }));

Deno.test("KubePodExec trusts the certificate authority of the kubeconfig", async () => {
  const folder = await Deno.makeTempDir();
  const [keyFile, certFile] = [join(folder, "key"), join(folder, "cert")];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  args.push("-nodes", "-keyout", keyFile, "-out", certFile, "-subj", "/CN=api");
  args.push("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE");
  const { success } = await new Deno.Command("openssl", { args, stderr: "null" }).output();
  assert.ok(success);
  const [cert, key] = [await Deno.readTextFile(certFile), await Deno.readTextFile(keyFile)];
  const headers: (string | null)[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} },
    (request) => {
      headers.push(request.headers.get("Authorization"));
      const { socket, response } = Deno.upgradeWebSocket(request, {
        protocol: "v4.channel.k8s.io",
      });
      socket.onopen = () => {
        const status = new TextEncoder().encode('{"status":"Success"}');
        socket.send(new Uint8Array([3, ...status]));
      };
      return response;
    },
  );
  const kubeconfig = join(folder, "kubeconfig");
  const cluster = {
    server: `https://127.0.0.1:${server.addr.port}`,
    "certificate-authority-data": btoa(cert),
  };
  await Deno.writeTextFile(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user: { token: "secret" } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      "current-context": "x",
    }),
  );
  const connection = new KubeConnection({ kubeconfig: userKubeconfig({ kubeconfig }).config });
  try {
    const exec = new KubePodExec(connection);
    assert.equal((await exec.exec(PLACE, ["/x"], AbortSignal.timeout(5_000))).code, 0);
    assert.deepEqual(headers, ["Bearer secret"]);
  } finally {
    connection.close();
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});
