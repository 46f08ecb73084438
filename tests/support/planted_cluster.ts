/** A cluster with secrets and names at many places, for what must leave them out. */
import {
  AT,
  rawAgentPod,
  rawClaim,
  rawClass,
  type RawCluster,
  rawEvent,
  rawNetwork,
  rawNode,
  rawPod,
  rawSlice,
  rawTemplate,
  reservation,
} from "./cluster_objects.ts";

type Fields = Record<string, unknown>;

const NAMESPACE = "acme-shop";
const POD = "checkout-7d9f8b6c5d-x2x4z";
const CLAIM = "checkout-lan-8fq2v";
const NODE = "rack7-blade3.acme.example";
const GONE_POD = "basket-0";
const GONE_CLAIM = "basket-claim";
const TEMPLATE = "checkout-template";
const [IPV4, IPV6, MAC] = ["10.55.66.77", "2001:db8:55::66", "0a:1b:2c:3d:4e:5f"];
const NODE_IP = "192.0.2.133";

/** None of them may be in a redacted archive. */
export const NAMES: readonly string[] = [
  NAMESPACE,
  POD,
  "checkout-7d9f8b6c5d",
  CLAIM,
  NODE,
  GONE_POD,
  GONE_CLAIM,
  TEMPLATE,
  IPV4,
  IPV6,
  MAC,
  NODE_IP,
];

const LINES = Array.from({ length: 4 }, (_, i) => `MIIEplanted${i}`.padEnd(64, "Ab1+/"));
/** A key that is none. */
export const KEY_PEM = [
  "-----BEGIN RSA PRIVATE KEY-----",
  ...LINES,
  "-----END RSA PRIVATE KEY-----",
].join("\n");
const JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl";

/** None of them may be in any archive. */
export const SECRETS: readonly string[] = [
  JWT,
  "plantedBearer0123456789",
  "planted-password",
  "planted-env",
  "planted-arg",
  "planted-applied",
  "planted-managed",
  "planted-annotation",
  "planted-psk",
  "planted-yaml",
  "planted-block",
  "planted-url",
  "planted-user-env",
  "planted-user-arg",
  "planted-log",
  "planted-cookie",
  "LS0tLS1CRUdJTiBQbGFudGVk",
];

/** With what every object may have and nobody is to see. */
function planted<T extends Fields>(object: T): T {
  const metadata = object.metadata as Fields;
  metadata.managedFields = [{ manager: "planted-managed" }];
  metadata.annotations = {
    "kubectl.kubernetes.io/last-applied-configuration": '{"password":"planted-applied"}',
    "acme.example/password": "planted-annotation",
  };
  return object;
}

/** The objects, and what else the API server answers. */
export function plantedCluster() {
  const inNamespace = (object: Fields): Fields => {
    (object.metadata as Fields).namespace = NAMESPACE;
    return planted(object);
  };
  const parameters = {
    ...rawNetwork("lan"),
    config: {
      cniVersion: "1.0.0",
      name: "lan",
      plugins: [{
        type: "macvlan",
        psk: "planted-psk",
        ipam: { type: "static", addresses: [{ address: `${IPV4}/24` }, { address: IPV6 }] },
        args: { note: `Authorization: Bearer plantedBearer0123456789` },
      }],
    },
  };
  const pod = inNamespace(rawPod(POD, {
    node: NODE,
    claims: [{ name: "lan", resourceClaimTemplateName: TEMPLATE }],
    made: [{ name: "lan", resourceClaimName: CLAIM }],
    waiting: { reason: "ContainerCreating", message: `claim ${NAMESPACE}/${CLAIM} at ${IPV4}` },
  }));
  Object.assign(pod.metadata as Fields, {
    ownerReferences: [{ kind: "ReplicaSet", name: "checkout-7d9f8b6c5d", controller: true }],
    labels: { app: "checkout-7d9f8b6c5d" },
  });
  Object.assign((pod.spec as { containers: Fields[] }).containers[0]!, {
    args: ["--password", "planted-user-arg"],
    env: [{ name: "GREETING", value: "planted-user-env" }],
  });
  const failure = `${POD} of ${NAMESPACE}: no address ${IPV4}, ${IPV6}. token=planted-password`;
  const claim = inNamespace(rawClaim(CLAIM, {
    parameters,
    node: NODE,
    reservedFor: [reservation(pod)],
    ready: { reason: "NetworkInterfaceNotReady", message: failure },
    ips: [`${IPV4}/24`, `${IPV6}/64`],
  }));
  const [device] = (claim.status as { devices: { networkData: Fields }[] }).devices;
  device!.networkData.hardwareAddress = MAC;
  const node = planted(rawNode(NODE));
  Object.assign(node.status as Fields, {
    addresses: [
      { type: "InternalIP", address: NODE_IP },
      { type: "Hostname", address: NODE },
    ],
  });
  (node.metadata as Fields).labels = { "kubernetes.io/hostname": NODE };
  const agent = planted(rawAgentPod(NODE));
  Object.assign((agent.spec as { containers: Fields[] }).containers[0]!, {
    args: ["run", "--driver-name=dra.networking", "--api-token", "planted-arg"],
    env: [{ name: "HTTP_PASSWORD", value: "planted-env" }, { name: "NODE_NAME", value: NODE }],
  });
  const slice = planted(rawSlice(NODE));
  const devices = (slice.spec as { devices: { attributes: Fields }[] }).devices;
  devices[1]!.attributes.mac = { string: MAC.toUpperCase() };
  const template = inNamespace(rawTemplate(TEMPLATE));
  const cluster: RawCluster = {
    nodes: [node],
    pods: [agent, pod],
    resourceslices: [slice],
    resourceclaims: [claim],
    resourceclaimtemplates: [template],
    deviceclasses: [planted(rawClass("network-interface", parameters))],
    events: [
      planted(rawEvent(pod, {
        reason: "NetworkAttachFailed",
        message: `pod ${NAMESPACE}/${POD}: ${failure}`,
      })),
    ],
  };
  return { cluster, answers: { log: LOG, status: STATUS, lists: CHART } };
}

/** As the agent writes it in both formats, with what plugins have said. */
const LOG = [
  JSON.stringify({
    time: AT,
    level: "info",
    msg: `attached: pod ${NAMESPACE}/${POD}`,
    node: NODE,
    headers: { authorization: "Bearer planted-log" },
    error: `claim ${NAMESPACE}/${CLAIM}:\n${POD}`,
  }),
  `2026-11-30T10:00:00.000Z INFO  attached: claim ${NAMESPACE}/${CLAIM} address=${IPV4}/24 mac=${MAC} on ${NODE}`,
  `2026-11-30T10:00:01.000Z WARN  stale: pod ${NAMESPACE}/${GONE_POD} error="plugin:\\n${POD} ${GONE_POD}"`,
  `GET /api/v1/namespaces/${NAMESPACE}/pods/${POD}?token=${JWT} Authorization: Bearer planted-log`,
  `Cookie: session=planted-cookie; more=planted-cookie`,
  `proxy http://user:planted-url@${NODE_IP}:3128 [${IPV6}]:443`,
  KEY_PEM,
  `key="${KEY_PEM.replaceAll("\n", "\\n")}"`,
  `client-key-data: LS0tLS1CRUdJTiBQbGFudGVk`,
  `mac ${MAC.replaceAll(":", "-")} ip-${IPV4.replaceAll(".", "-")}.internal ${NAMESPACE}%2F${POD}`,
  "",
].join("\n");

const STATUS = JSON.stringify({
  version: 1,
  agents: [{ node: NODE, needs: [{ name: "api", ok: true, says: `https://${NODE_IP}:6443` }] }],
  settings: [{ name: "policy", value: { password: "planted-password" } }],
  sandboxes: [{ id: "s", pod: { namespace: NAMESPACE, name: GONE_POD, uid: "u" } }],
  claims: [{ namespace: NAMESPACE, name: GONE_CLAIM, uid: "u", pods: [GONE_POD] }],
  attachments: [{
    pod: { namespace: NAMESPACE, name: POD, uid: "u" },
    claim: { namespace: NAMESPACE, name: CLAIM, uid: "u" },
    mac: MAC,
    addresses: [`${IPV4}/24`, IPV6],
    error: `password: planted-password, ${GONE_CLAIM}`,
  }],
});

const CHART = {
  daemonsets: [planted({
    metadata: { name: "network-dra", namespace: "kube-system" } as Fields,
    spec: {
      template: {
        metadata: planted({ metadata: {} as Fields }).metadata,
        spec: {
          containers: [{ name: "agent", env: [{ name: "API_TOKEN", value: "planted-env" }] }],
        },
      },
    },
  })],
  configmaps: [planted({
    metadata: { name: "network-dra", namespace: "kube-system" } as Fields,
    data: {
      "config.yaml": [
        "policy:",
        `  namespaces: [${NAMESPACE}]`,
        "  password: planted-yaml",
        "  privateKey: |",
        "    planted-block",
        "    planted-block",
        "  mtu: 1500",
        "",
      ].join("\n"),
    },
  })],
};
