import { CLAIM_API } from "./kinds.ts";
import type { Manifest } from "./manifest.ts";

/** The DeviceClasses that the chart installs for a driver. */
export function chartClasses(driver: string): Manifest[] {
  const isOurs = `device.driver == "${driver}"`;
  const type = `device.attributes["${driver}"].type`;
  return [
    deviceClass("network-interface", `${isOurs} && ${type} == "cni"`),
    deviceClass("host-interface", `${isOurs} && ${type} != "cni"`),
  ];
}

function deviceClass(name: string, expression: string): Manifest {
  return {
    apiVersion: CLAIM_API,
    kind: "DeviceClass",
    metadata: { name },
    spec: { selectors: [{ cel: { expression } }] },
  };
}
