import assert from "node:assert/strict";
import { join } from "node:path";

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdin: "null" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Paths of a certificate authority's certificate, and of one of 127.0.0.1 signed by it, with its key. */
export async function certificates(folder: string) {
  const path = (name: string) => join(folder, name);
  const subject = (name: string) => ["-subj", `/CN=${name}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.crt"),
    ...subject("ca"),
  );
  await openssl(
    "req",
    ...key,
    "-keyout",
    path("server.key"),
    "-out",
    path("server.csr"),
    ...subject("server"),
  );
  await Deno.writeTextFile(path("san"), "subjectAltName=IP:127.0.0.1\n");
  await openssl(
    ...["x509", "-req", "-in", path("server.csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key")],
    ...["-CAcreateserial", "-extfile", path("san"), "-out", path("server.crt")],
  );
  return { ca: path("ca.crt"), cert: path("server.crt"), key: path("server.key") };
}
