import { type ClassObject, type ConfiguredNetwork, itemsOf } from "../cluster/objects.ts";
import type { ClusterSeen } from "./seen.ts";

/** A network that a class or a template asks for, and for which devices. */
export interface AskedNetwork {
  /** Such as `DeviceClass storage`. */
  readonly by: string;
  readonly network: ConfiguredNetwork;
  /** A device can get it that satisfies all CEL expressions of one of these. */
  readonly ways: readonly (readonly string[])[];
}

/** The networks that the classes and the templates of the driver name. Pure. */
export function askedNetworks({ whole: { drivers }, objects }: ClusterSeen): AskedNetwork[] {
  const classes = itemsOf(objects, "DeviceClass");
  const byName = new Map(classes.map((each) => [each.name, each]));
  return [
    ...classes.flatMap(({ name, configs, selectors }) =>
      configs.flatMap(({ driver, network }): AskedNetwork[] =>
        network && drivers.includes(driver)
          ? [{ by: `DeviceClass ${name}`, network, ways: [selectors] }]
          : []
      )
    ),
    ...itemsOf(objects, "ResourceClaimTemplate").flatMap(({ namespace, name, spec }) =>
      spec.configs.flatMap(({ driver, network, requests }): AskedNetwork[] => {
        if (!network || !drivers.includes(driver)) return [];
        const by = `ResourceClaimTemplate ${namespace}/${name}`;
        return [{ by, network, ways: waysOf(spec.requests, { only: requests, byName }) }];
      })
    ),
  ];
}

function waysOf(
  requests: readonly {
    readonly name: string;
    readonly className: string;
    readonly selectors: readonly string[];
  }[],
  { only, byName }: {
    readonly only: readonly string[];
    readonly byName: ReadonlyMap<string, ClassObject>;
  },
): (readonly string[])[] {
  return requests.flatMap(({ name, className, selectors }) => {
    const [main = name] = name.split("/");
    if (only.length > 0 && !only.includes(name) && !only.includes(main)) return [];
    const ofClass = byName.get(className);
    return ofClass ? [[...ofClass.selectors, ...selectors]] : [];
  });
}
