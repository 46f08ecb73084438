import config from "../../deno.json" with { type: "json" };
import { describeFlags } from "./run_config.ts";

export const VERSION: string = config.version;

/** What `network-dra help` prints. */
export function help(): string {
  return `network-dra ${VERSION}: networks for pods, claimed like devices

usage: network-dra COMMAND [FLAGS]

  run          the agent of this node, for the kubelet and the container runtime
  try FILE…    the claims and pods of YAML files on a simulated node, with no cluster
  lint FILE…   what a cluster would say of claims, classes and pods; no root, no network
  forget CLAIM lets a claim (NAMESPACE/NAME or UID) go that cannot be detached on this node
  install-plugins  puts the CNI plugins of one folder into another that lacks them
  ready        whether the agent with the same flags serves the kubelet; exit code 0 or 1
  version      the version
  help         this text

flags of run (default) [environment]:
${describeFlags()}

flags of try:
  -o FORMAT            how the claims are printed: yaml (default) or json
  --keep               keep the node until Ctrl-C
  --driver-name NAME   default: the driver named in the files
  --cni-path PATH      folders of the CNI plugins; default: this machine's, or Debian's package
  --config PATH        the agent's configuration file, such as with a policy
  --node PATH          describes the node's interfaces, and other nodes
  --verbose            the agent's own log too

exit codes of try: 0 all pods ran, 1 something failed, 2 wrong usage, 3 not all could be tried

flags of lint:
  -o FORMAT            the report: text (default), json or sarif
  --driver-name NAME   the agent's name; default: the driver that the files name
  --config PATH        the agent's configuration file, for its policy

flags of install-plugins:
  --from PATH          the folder that holds the plugins
  --to PATH            the folder that lacks them; what others put there is kept

flags of forget:
  --state-dir PATH     the agent's (/var/lib/network-dra) [NETWORK_DRA_STATE_DIR]
`;
}
