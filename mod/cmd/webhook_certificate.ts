import type { Clock } from "../async/clock.ts";
import type { Log } from "../agent/ports.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { KubeWebhookCertificates } from "../kube/webhook_certificates.ts";
import { certificateFiles, type ReadCertificate } from "../observe/certificate.ts";
import { OwnCertificate } from "../webhook/own_certificate.ts";
import { CommandLineError } from "./usage_error.ts";

/** Where the webhook's certificate comes from. */
export type CertificateSource =
  /** Files that others renew. */
  | { readonly is: "files"; readonly cert: string; readonly key: string }
  /** The webhook itself. */
  | {
    readonly is: "own";
    readonly secret: { readonly namespace: string; readonly name: string };
    readonly configuration: string;
    readonly serverName: string;
  };

/** The flags that say so. */
export interface CertificateFlags {
  readonly cert?: string;
  readonly key?: string;
  readonly certificateSecret?: { readonly namespace: string; readonly name: string };
  readonly webhookConfiguration?: string;
  readonly serverName?: string;
}

/** @throws CommandLineError unless the flags say one, and all of it */
export function certificateSource(
  { cert, key, certificateSecret: secret, webhookConfiguration: configuration, serverName }:
    CertificateFlags,
): CertificateSource {
  const isFiles = cert !== undefined || key !== undefined;
  const isOwn = [secret, configuration, serverName].some((each) => each !== undefined);
  if (isFiles && isOwn) {
    throw new CommandLineError(
      "--cert and --key cannot be given with --certificate-secret, --webhook-configuration and " +
        "--server-name: the certificate comes from files, or the webhook makes it",
    );
  }
  if (isFiles) {
    if (cert && key) return { is: "files", cert, key };
    throw new CommandLineError(
      `${cert ? "--key" : "--cert"} is required: a certificate and its key go together`,
    );
  }
  if (secret && configuration && serverName) {
    return { is: "own", secret, configuration, serverName };
  }
  throw new CommandLineError(
    "a certificate is required: give --cert and --key, or --certificate-secret, " +
      "--webhook-configuration and --server-name",
  );
}

/** Reads the certificate, or makes it. */
export function readCertificate(
  source: CertificateSource,
  { connection, ...options }: {
    readonly connection: KubeConnection;
    readonly log: Log;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): ReadCertificate {
  if (source.is === "files") return certificateFiles(source);
  const store = new KubeWebhookCertificates(connection, source);
  const own = new OwnCertificate(store, { ...options, names: [source.serverName] });
  return () => own.read();
}
