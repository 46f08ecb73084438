import assert from "node:assert/strict";
import { join } from "node:path";
import { checkClientCertificate } from "./client_certificate.ts";

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

const KEYS: Readonly<Record<string, string[]>> = {
  "EC": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
  "RSA": ["-newkey", "rsa:2048"],
};

Deno.test("checkClientCertificate() takes what belongs together, and nothing else", async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    const read = (name: string) => Deno.readTextFile(join(folder, name));
    for (const [kind, key] of Object.entries(KEYS)) {
      await t.step(kind, async () => {
        for (const name of ["one", "other"]) {
          const [cert, request] = [join(folder, `${name}.crt`), join(folder, `${name}.csr`)];
          const keyFile = join(folder, `${name}.key`);
          const subject = ["-nodes", "-keyout", keyFile, "-subj", `/CN=${name}`];
          await openssl("req", "-x509", ...key, ...subject, "-out", cert);
          await openssl("req", "-new", "-key", keyFile, "-subj", `/CN=${name}`, "-out", request);
          const old = join(folder, `${name}-v1.crt`);
          await openssl("x509", "-req", "-in", request, "-signkey", keyFile, "-out", old);
        }
        checkClientCertificate(await read("one.crt"), await read("one.key"));
        const [cert, other] = [await read("one.crt"), await read("other.key")];
        assert.throws(() => checkClientCertificate(cert, other), /do not match/);
        const [old, key1] = [await read("one-v1.crt"), await read("one.key")];
        assert.throws(() => checkClientCertificate(old, key1), /X\.509 version 1/);
        assert.throws(() => checkClientCertificate(cert.slice(0, 300), key1));
        assert.throws(() => checkClientCertificate(cert, key1.slice(0, 60)));
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
