import { CONDITION_REASONS, EVENT_REASONS } from "../agent/reasons.ts";

/** A message that users meet, and what to do about it; docs/how-to/troubleshooting.md says more. */
interface Remedy {
  readonly says: RegExp;
  /** In a few words. */
  readonly cause: string;
  readonly whatToDo: string;
}

const REMEDIES: readonly Remedy[] = [
  {
    says: /refused by policy/,
    cause: "the administrator's policy does not allow what the claim asks for",
    whatToDo: "remove the field that the message names from the claim, or have an administrator " +
      "change the setting at the end of the message; then delete the pod and the claim, and " +
      "create them again",
  },
  {
    says: /it is in none of the folders|plugin .* is not (?:installed|on the node)/,
    cause: "a CNI plugin is missing on the node",
    whatToDo: "install the plugin on the node, or correct its name in the claim; the pod goes on " +
      "by itself once the plugin is there",
  },
  {
    says: /no (?:more )?(?:IP )?addresses? available|no free (?:IP|address)|addresses are used up/i,
    cause: "all addresses of the range are in use on the node",
    whatToDo: "use a larger range, or free leases in /var/lib/cni/networks/NAME on the node that " +
      "no pod uses any more",
  },
  {
    says: /is not registered/,
    cause: "the kubelet of the node knows no agent of this driver",
    whatToDo: "see why the agent does not run on the node: kubectl -n kube-system describe pods " +
      "-l app.kubernetes.io/name=network-dra",
  },
  {
    says: /there is no network "/,
    cause:
      "the administrator's network of this name is defined neither on the node nor in the cluster",
    whatToDo: "create a Network of this name, or put its file into the agent's networkDir on the " +
      "node, or correct networkName",
  },
  {
    says: /failed \(check\): Link not found/,
    cause: "the interface of the pod is gone, or the node's below it, which takes it along",
    whatToDo: "bring the node's interface back (ip link on the node shows which are there), then " +
      "delete the pod so that it gets its network again; with --repair the agent attaches it " +
      "without that",
  },
  {
    says: /Link not found/,
    cause: "the node has no interface of the name that the configuration gives",
    whatToDo: "name an interface that the node has, or leave it out and let the scheduler choose " +
      "one with the class host-interface",
  },
  {
    says: /already has an interface/,
    cause: "the pod already has an interface of that name",
    whatToDo: "give the claim another interfaceName",
  },
  {
    says: /dialing DHCP daemon/,
    cause: "the DHCP daemon of the CNI plugins does not run on the node",
    whatToDo: "start the daemon on the node: docs/how-to/addresses.md says how",
  },
  {
    says: /uses the host's network/,
    cause: "a pod with hostNetwork has no network of its own",
    whatToDo: "use hostNetwork: false, or a pod without the claim",
  },
  {
    says: /CEL runtime error/,
    cause: "a selector cannot be evaluated on a device",
    whatToDo: "read attributes that a device may lack with .?NAME.orValue(…), and write numbers " +
      "without quotes",
  },
  {
    says: /cannot allocate all claims/,
    cause: "no node has a free device that the class and the selectors take",
    whatToDo: "compare the selectors with the devices: kubectl network-dra devices -o wide",
  },
];

/** What is known of a message: its cause in a few words, and what to do. */
export interface Advice {
  readonly cause?: string;
  readonly whatToDo: string;
}

/** @param reason of a condition or an event; @param message its message */
export function adviceOn(
  { reason, message = "" }: { readonly reason?: string; readonly message?: string },
): Advice | undefined {
  const known = REMEDIES.find(({ says }) => says.test(message));
  if (known) return { cause: known.cause, whatToDo: known.whatToDo };
  const meanings: Readonly<Record<string, { readonly action: string }>> = {
    ...EVENT_REASONS,
    ...CONDITION_REASONS,
  };
  const action = reason === undefined ? undefined : meanings[reason]?.action;
  return action === undefined ? undefined : { whatToDo: action };
}
