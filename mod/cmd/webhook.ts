import { systemClock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { KubeConnection } from "../kube/connection.ts";
import { KubeObjectSource } from "../kube/object_source.ts";
import { ObjectCache } from "../kube/object_cache.ts";
import { CLAIM_API } from "../manifests/kinds.ts";
import type { Manifest } from "../manifests/manifest.ts";
import { serveSeamlessly } from "../observe/serve_seamless.ts";
import { webhookHandler } from "../webhook/handler.ts";
import { apiAccess } from "./api_access.ts";
import { WEBHOOK } from "./commands/webhook.ts";
import { EMPTY_CONFIG_FILE, readConfigFile } from "./config_file.ts";
import { readCommandLine } from "./flag_values.ts";
import { openLog } from "./logging.ts";
import { onSignals } from "./signals.ts";
import { toStderr } from "./stderr.ts";
import { thisProcess } from "./this_process.ts";
import { UsageError } from "./usage_error.ts";
import { certificateSource, readCertificate } from "./webhook_certificate.ts";

const CLASSES = `/apis/${CLAIM_API}/deviceclasses`;

/** `network-dra webhook`: serves until a signal ends it. Gives the exit code. */
export async function webhook(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(WEBHOOK, argv, thisProcess.env);
  const { policy } = flags.config === undefined
    ? EMPTY_CONFIG_FILE
    : readConfigFile(flags.config, { at: "--config" });
  const source = certificateSource(flags);
  const connection = connect(flags.kubeconfig);
  const log = openLog({ level: flags.logLevel, format: flags.logFormat, write: toStderr });
  const end = new AbortController();
  const release = onSignals(() => end.abort());
  const clock = systemClock;
  const cache = new ObjectCache(new KubeObjectSource(connection), {
    path: CLASSES,
    // Lists leave out what their items are.
    parse: (value) =>
      ({ ...value as Manifest, apiVersion: CLAIM_API, kind: "DeviceClass" }) as Manifest,
    maxAge: 0,
    clock,
    log,
  });
  try {
    const { signal } = end;
    const handler = webhookHandler({
      options: async (limit) => {
        const known = await cache.look(AbortSignal.any([signal, limit]));
        const classes = known.state === "known" ? known.objects : new Map();
        return { driver: flags.driverName, policy, classes };
      },
      judged: ({ kind, namespace = "", operation }, verdict) => {
        if (verdict.is !== "denied") return;
        log.info("refused an object", { kind, namespace, operation, cause: verdict.message });
      },
    });
    await Promise.all([
      cache.run(signal),
      serveSeamlessly(flags.listen, handler, {
        what: "admission reviews",
        secured: "admission reviews",
        flag: "--listen",
        certificate: readCertificate(source, { connection, log, clock, signal }),
        log,
        clock,
        signal,
      }),
    ]);
    return 0;
  } finally {
    release();
    connection.close();
  }
}

/** @throws UsageError if the kubeconfig, or the pod's ServiceAccount, cannot be used */
function connect(kubeconfig: string | undefined): KubeConnection {
  try {
    apiAccess(kubeconfig, thisProcess);
    return new KubeConnection({ ...(kubeconfig !== undefined && { kubeconfig }) });
  } catch (error) {
    throw new UsageError(errorMessage(error));
  }
}
