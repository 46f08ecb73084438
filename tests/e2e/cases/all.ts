import { type KubernetesVersion, minorOf } from "../kubernetes_programs.ts";
import { CLAIMS } from "./claims.ts";
import { DEVICES } from "./devices.ts";
import { ENDS } from "./ends.ts";
import { EXAMPLE_CASES } from "./examples.ts";
import { MISTAKES } from "./mistakes.ts";
import { RESTARTS } from "./restarts.ts";
import { RIGHTS } from "./rights.ts";
import { SELECTORS } from "./selectors.ts";

/** What is tested with every release of Kubernetes and every runtime. */
const MAIN = { ...CLAIMS, ...DEVICES, ...ENDS, ...RESTARTS };

export const CASES = { ...MAIN, ...MISTAKES, ...RIGHTS, ...SELECTORS, ...EXAMPLE_CASES };

/** Cases of what Kubernetes has by default only from this minor version on. */
const SINCE: Readonly<Record<string, number>> = {
  "the health of a pod's devices is in its status": 36,
};

/** The names of the cases that are tested with a release of Kubernetes, all or the main ones. */
export function casesOf(
  { kubernetes, main }: { readonly kubernetes: KubernetesVersion; readonly main: boolean },
): string[] {
  const minor = minorOf(kubernetes);
  return Object.keys(main ? MAIN : CASES).filter((name) => minor >= (SINCE[name] ?? 0));
}
