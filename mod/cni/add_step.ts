import type { PodStep } from "../agent/ports.ts";
import type { PluginRun } from "./plugins.ts";

/** A plugin's ADD as a step on its pod's way; undefined for other commands. */
export function addStep(
  { plugin, command, seconds, env, error }: PluginRun,
): PodStep | undefined {
  if (command !== "ADD") return undefined;
  const args = new Map(
    (env.CNI_ARGS ?? "").split(";").map((each) => {
      const [name = "", ...value] = each.split("=");
      return [name, value.join("=")];
    }),
  );
  const uid = args.get("K8S_POD_UID");
  if (!uid) return undefined;
  const pod = {
    namespace: args.get("K8S_POD_NAMESPACE") ?? "",
    name: args.get("K8S_POD_NAME") ?? "",
    uid,
  };
  const about = { plugin, interface: env.CNI_IFNAME ?? "", sandbox: env.CNI_CONTAINERID ?? "" };
  return { name: "add", pod, seconds, about, error };
}
