import { join } from "node:path";

export interface Certificate {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

/** The cluster's certificate authority, and the key that signs ServiceAccount tokens. */
export class Authority {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(folder: string): Promise<Authority> {
    await Deno.mkdir(folder, { recursive: true });
    const authority = new Authority(folder);
    const { cert, key } = authority.#paths("ca");
    await openssl(["req", "-x509", ...NEW_KEY, "-keyout", key, "-out", cert, "-subj", "/CN=ca"]);
    const { tokenKey } = authority;
    await openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tokenKey]);
    return authority;
  }

  get cert(): string {
    return this.#paths("ca").cert;
  }

  get tokenKey(): string {
    return join(this.#folder, "tokens.key");
  }

  /** @param subject in openssl's spelling, such as `/O=system:masters/CN=admin` */
  async issue(
    name: string,
    { subject, names = [] }: { readonly subject: string; readonly names?: readonly string[] },
  ): Promise<Certificate> {
    const { cert, key } = this.#paths(name);
    const [request, extensions] = ["csr", "ext"].map((end) => join(this.#folder, `${name}.${end}`));
    await openssl(["req", ...NEW_KEY, "-keyout", key, "-out", request!, "-subj", subject]);
    const lines = ["basicConstraints=CA:FALSE"];
    if (names.length > 0) lines.push(`subjectAltName=${names.join(",")}`);
    await Deno.writeTextFile(extensions!, `${lines.join("\n")}\n`);
    const { cert: caCert, key: caKey } = this.#paths("ca");
    await openssl([
      ...["x509", "-req", "-in", request!, "-CA", caCert, "-CAkey", caKey, "-CAcreateserial"],
      ...["-extfile", extensions!, "-out", cert],
    ]);
    return { cert, key };
  }

  #paths(name: string): Certificate {
    return { cert: join(this.#folder, `${name}.crt`), key: join(this.#folder, `${name}.key`) };
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function openssl(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: [...args],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
