import { type Command, EXIT_CODES } from "../command.ts";
import { CLUSTER_FLAGS } from "./cluster.ts";
import * as take from "../settings.ts";

const { kubeconfig, context, requestTimeout } = CLUSTER_FLAGS;

export const MIGRATE = {
  name: "migrate",
  summary: "Turn networks and workloads for Multus into claims.",
  description: [
    "Reads NetworkAttachmentDefinitions and workloads with the annotation k8s.v1.cni.cncf.io/networks, " +
    "and writes DeviceClasses, ResourceClaimTemplates and the changed workloads, and Networks where " +
    "whereabouts gives the addresses. The pods get the same interfaces, with the same names and " +
    "addresses. What cannot be moved stays as it is, and the report " +
    "says why and what to do. Comments that begin with DECIDE say what you must decide. Nothing is " +
    "changed in a cluster.",
    "Without --output, the objects are printed as one YAML stream, and the report goes to standard " +
    "error. With --output, the folder gets a kustomization, in which patches change the workloads.",
  ],
  argument: {
    name: "FILE",
    help:
      "YAML or JSON file with NetworkAttachmentDefinitions, pods and workloads. A dash (-) reads " +
      "standard input.",
    least: 0,
    most: "any",
    path: "file",
  },
  flags: {
    output: {
      name: "output",
      takes: "DIR",
      path: "folder",
      help: "Folder for the objects. It must be empty or not exist.",
      defaultIs: "standard output",
      parse: take.newFolder,
    },
    report: {
      name: "report",
      short: "o",
      takes: "FORMAT",
      help: "Format of the report: json for programs.",
      default: "text",
      parse: take.oneOf("text", "json"),
    },
    selectors: {
      name: "selectors",
      takes: "PATH",
      path: "file",
      help: "YAML file that says for each extended resource of a device plugin, such as " +
        "intel.com/sriov, which devices of the agent it stands for: a CEL expression.",
      parse: take.filePath,
    },
    driverName: {
      name: "driver-name",
      takes: "NAME",
      help: "Name of the DRA driver.",
      default: "dra.networking",
      parse: take.driverName,
    },
    cluster: {
      name: "cluster",
      help:
        "Read the objects from a cluster instead of files, with your own kubeconfig and rights, and the " +
        "leases of whereabouts too. What controllers make, such as a Deployment's pods, is left out.",
      default: "false",
      parse: take.yesOrNo,
    },
    namespace: {
      name: "namespace",
      short: "n",
      takes: "NAME",
      help: "With --cluster: read the objects of this namespace.",
      defaultIs: "all namespaces",
      parse: take.name,
    },
    kubeconfig,
    context,
    requestTimeout,
  },
  examples: [
    {
      what: "Write a kustomization for files:",
      line: "network-dra migrate --output migrated networks.yaml web.yaml",
    },
    {
      what: "Write a kustomization for what is on a cluster:",
      line: "network-dra migrate --cluster --output migrated",
    },
  ],
  exitCodes: {
    0: "All has moved.",
    1: "A file or the cluster cannot be read, or the folder cannot be written.",
    2: EXIT_CODES[2],
    3: "Something stays with Multus, or you must decide something.",
  },
} as const satisfies Command;
