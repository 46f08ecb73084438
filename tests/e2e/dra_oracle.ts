import { createHash } from "node:crypto";
import { join } from "node:path";
import { buildOnce } from "../support/go.ts";
import { buildOfKubernetes, type KubernetesVersion, MODULE_FILES } from "./kubernetes_programs.ts";

const SOURCE = new URL("kubernetes", import.meta.url).pathname;

/**
 * Builds the kubelet's side of DRA (tests/e2e/kubernetes/dra_oracle) with a release into the cache,
 * once. To be called where Kubernetes itself was built, so that little is left to compile. Without Go
 * it tells why.
 */
export async function fetchDraOracle(
  version: KubernetesVersion,
  { progress }: { readonly progress?: (line: string) => void } = {},
): Promise<{ readonly path: string } | { readonly missing: string }> {
  const hash = createHash("sha256");
  for (const file of ["dra_oracle/main.go", MODULE_FILES[version]]) {
    hash.update(await Deno.readFile(join(SOURCE, file)));
  }
  const digest = hash.digest("hex").slice(0, 12);
  return await buildOnce(`dra-oracle_${version}_${Deno.build.arch}_${digest}`, {
    what: `the kubelet's side of DRA in Kubernetes ${version}`,
    build: (program) => buildOfKubernetes(version, { package: "./dra_oracle", program }),
    progress,
  });
}

export interface DraOracleOptions {
  /** The kubelet's folder: sockets and the checkpoint. */
  readonly kubeletDir: string;
  readonly kubeconfig: string;
  readonly node: string;
}

/** A pod as the kubelet asks for it. */
export interface OraclePod {
  readonly name: string;
  readonly uid: string;
  /** The names of its claims. */
  readonly claims: readonly string[];
}

/** The health of a claim's devices as it stands in the status of a container (KEP-4680). */
export interface ClaimHealth {
  readonly name: string;
  readonly resources: readonly {
    readonly resourceID: string;
    readonly health: "Healthy" | "Unhealthy" | "Unknown";
    /** Since Kubernetes 1.36. */
    readonly message?: string;
  }[];
}

/** A real kubelet's DRA manager and plugin manager, in a separate process. */
export class DraOracle {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: Answer[] = [];
  readonly #read: Promise<unknown>;
  /** UIDs of the pods of whose devices the health has changed, oldest first. */
  readonly updated: string[] = [];
  /** What it logged. */
  log = "";
  #wake: () => void = () => {};
  #ended = false;

  private constructor(program: string, { kubeletDir, kubeconfig, node }: DraOracleOptions) {
    this.#process = new Deno.Command(program, {
      args: [
        `-registry=${join(kubeletDir, "plugins_registry")}`,
        `-state=${kubeletDir}`,
        `-kubeconfig=${kubeconfig}`,
        `-node=${node}`,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#read = Promise.all([this.#collect(), this.#collectLog()]);
  }

  /** Starts it with what its checkpoint holds. */
  static async start(program: string, options: DraOracleOptions): Promise<DraOracle> {
    const oracle = new DraOracle(program, options);
    await oracle.#next();
    return oracle;
  }

  /** Whether the driver is registered. */
  async isRegistered(driver: string): Promise<boolean> {
    return (await this.#ask({ do: "registered", driver })).error === undefined;
  }

  /** Prepares the pod's claims, those that are not prepared yet; "" or why it cannot. */
  async prepare(pod: OraclePod): Promise<string> {
    return (await this.#ask({ do: "prepare", pod })).error ?? "";
  }

  /** Unprepares the pod's claims that no other pod has; "" or why it cannot. */
  async unprepare(pod: OraclePod): Promise<string> {
    return (await this.#ask({ do: "unprepare", pod })).error ?? "";
  }

  /** The CDI devices that the pod's container gets. */
  async cdiDevices(pod: OraclePod): Promise<readonly string[]> {
    return await this.#ok({ do: "resources", pod }) as string[];
  }

  async health(pod: OraclePod): Promise<readonly ClaimHealth[]> {
    return await this.#ok({ do: "health", pod }) as ClaimHealth[];
  }

  /** Ends it at once, as a kubelet ends that crashes. */
  async kill(): Promise<void> {
    if (!this.#ended) this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#read;
    await this.#input.abort().catch(() => {});
  }

  async #ok(command: Command): Promise<unknown> {
    const { answer, error } = await this.#ask(command);
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  async #ask(command: Command): Promise<Answer> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    return await this.#next();
  }

  async #next(): Promise<Answer> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer) return answer;
      if (this.#ended) throw new Error(`the kubelet's side ended\n${this.log}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async #collect(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const said = JSON.parse(line) as Answer | { readonly updated: readonly string[] };
        if ("updated" in said) this.updated.push(...said.updated);
        else this.#answers.push(said);
      }
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  async #collectLog(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.log += text;
    }
  }
}

type Command =
  | { readonly do: "registered"; readonly driver: string }
  | { readonly do: "prepare" | "unprepare" | "resources" | "health"; readonly pod: OraclePod };

interface Answer {
  readonly answer: unknown;
  readonly error?: string;
}
