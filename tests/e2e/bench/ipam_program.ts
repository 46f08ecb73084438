import { runProgram } from "../../../mod/cni/program.ts";

/** Longer than whereabouts tries (2 minutes), in milliseconds. */
const LIMIT = 150_000;
const never = new AbortController().signal;

/** One attachment of a pod that no one starts: only its addresses are of interest. */
export interface Attachment {
  readonly node: string;
  /** Different for each attachment of a run. */
  readonly id: string;
}

/**
 * Runs an IPAM plugin's ADD as an interface plugin does, and gives the address, without its prefix
 * length.
 *
 * @throws Error with what the plugin says
 */
export async function addWith(
  program: string,
  { attachment: { id }, ipam }: {
    readonly attachment: Attachment;
    readonly ipam: Readonly<Record<string, unknown>>;
  },
): Promise<string> {
  const config = { cniVersion: "1.0.0", name: "lan", type: "macvlan", ipam };
  const { code, killed, stdout, stderr } = await runProgram(program, {
    env: {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: `sandbox-${id}`,
      CNI_NETNS: "/proc/1/ns/net",
      // Neither plugin enters it.
      CNI_NETNS_OVERRIDE: "1",
      CNI_IFNAME: "net1",
      CNI_PATH: "/",
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-${id}`,
    },
    stdin: new TextEncoder().encode(JSON.stringify(config)),
    timeout: LIMIT,
    signal: never,
  });
  const printed = new TextDecoder().decode(stdout);
  if (code !== 0) throw new Error(killed ?? (printed.trim() || stderr.trim()));
  return JSON.parse(printed).ips[0].address.split("/")[0];
}
