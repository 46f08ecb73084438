/** How far a pod of the test is. */
export type PodState =
  | { readonly state: "running" }
  /** It may come to run yet; what keeps it, where that is known. */
  | { readonly state: "pending"; readonly why?: string }
  /** It will not run. */
  | { readonly state: "failed"; readonly why: string; readonly whatToDo: string };

// deno-lint-ignore no-explicit-any -- objects as the API server gives them
type Raw = any;

/** Reasons of waiting containers that waiting does not mend. */
const IMAGE_REASONS = [
  "ErrImageNeverPull",
  "ErrImagePull",
  "ImageInspectError",
  "ImagePullBackOff",
  "InvalidImageName",
];
const IMAGE_ADVICE =
  "give --image with an image of network-dra that the nodes have or can pull, and " +
  "--image-pull-secret where its registry needs one";

/** How far a Pod (core/v1) with one container is. */
export function podState({ spec, status }: Raw): PodState {
  const [container] = status?.containerStatuses ?? [];
  const { waiting, running, terminated } = container?.state ?? {};
  if (running) return { state: "running" };
  if (waiting && IMAGE_REASONS.includes(waiting.reason)) {
    return { state: "failed", why: said(waiting), whatToDo: IMAGE_ADVICE };
  }
  if (terminated) {
    return {
      state: "failed",
      why: `its container ended with exit code ${terminated.exitCode} (${said(terminated)})`,
      whatToDo:
        `the image ${spec?.containers?.[0]?.image} may be older than this program and have ` +
        "no probe: give --image with one of the same version",
    };
  }
  if (status?.phase === "Failed") {
    return {
      state: "failed",
      why: said(status),
      whatToDo: "the node has refused or ended the pod: look at its events, or give --nodes",
    };
  }
  const scheduled = status?.conditions?.find(({ type }: Raw) => type === "PodScheduled");
  if (scheduled?.status === "False") return { state: "pending", why: said(scheduled) };
  return { state: "pending", ...(waiting && { why: said(waiting) }) };
}

function said({ reason, message }: Raw): string {
  return [reason, message].filter((part) => part).join(": ") || "it does not say why";
}
