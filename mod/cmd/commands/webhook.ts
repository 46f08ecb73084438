import { type Command, EXIT_CODES } from "../command.ts";
import * as take from "../settings.ts";
import { CONFIG_FLAG, RUN_SETTINGS } from "./run.ts";

export const WEBHOOK = {
  name: "webhook",
  summary: "Refuse bad claims when they are created.",
  description: [
    "Serves a validating admission webhook by HTTPS until SIGTERM or SIGINT: POST /validate for " +
    "AdmissionReviews of ResourceClaims, ResourceClaimTemplates, DeviceClasses and Networks, GET " +
    "/healthz and GET /readyz for probes. It refuses what the agent of any node would surely " +
    "refuse, in the agent's words, and lets everything else through.",
    "The certificate is one that others renew (--cert, --key), or the webhook makes it itself and " +
    "renews it after 60 of 90 days (--certificate-secret, --webhook-configuration, --server-name): " +
    "all replicas share the Secret, and the webhook tells API servers whom to trust.",
    "Reads the cluster's DeviceClasses, besides that Secret and that configuration. The Helm chart " +
    "runs it (webhook.enabled).",
  ],
  flags: {
    listen: {
      name: "listen",
      takes: "HOST:PORT",
      help: "Address to serve at.",
      default: "[::]:9443",
      parse: take.listenAddressGiven,
    },
    cert: {
      name: "cert",
      takes: "PATH",
      path: "file",
      help: "Certificate of the server (PEM). It is read again when it changes.",
      parse: take.absolutePath,
    },
    key: {
      name: "key",
      takes: "PATH",
      path: "file",
      help: "Key of --cert (PEM).",
      parse: take.absolutePath,
    },
    certificateSecret: {
      name: "certificate-secret",
      takes: "NAMESPACE/NAME",
      help:
        "Instead of --cert: the Secret that keeps a certificate that the webhook makes. It must " +
        "exist, and may be empty.",
      parse: take.namespacedName,
    },
    webhookConfiguration: {
      name: "webhook-configuration",
      takes: "NAME",
      help: "With --certificate-secret: the ValidatingWebhookConfiguration whose caBundle is kept.",
      parse: take.objectName,
    },
    serverName: {
      name: "server-name",
      takes: "NAME",
      help:
        "With --certificate-secret: the DNS name by which API servers call the webhook, such as " +
        "network-dra-webhook.kube-system.svc.",
      parse: take.objectName,
    },
    driverName: RUN_SETTINGS.driverName,
    config: {
      ...CONFIG_FLAG,
      help: "Configuration file of the agents: its policy applies. The webhook reads it once.",
    },
    kubeconfig: RUN_SETTINGS.kubeconfig,
    logLevel: RUN_SETTINGS.logLevel,
    logFormat: RUN_SETTINGS.logFormat,
  },
  examples: [
    {
      what: "With a certificate, outside of a pod:",
      line: "network-dra webhook --cert /tls.crt --key /tls.key --kubeconfig /kubeconfig",
    },
  ],
  exitCodes: { 0: "It was ended by a signal.", ...EXIT_CODES },
} as const satisfies Command;
