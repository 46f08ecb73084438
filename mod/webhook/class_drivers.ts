import { selectedDrivers } from "../manifests/drivers.ts";
import { type Fields, type Manifest, objectsIn } from "../manifests/manifest.ts";
import { compileSelector } from "../selectors/selector.ts";

/** A driver whose devices no class of this driver's is for. */
const FOREIGN = { driver: "foreign.example", attributes: {} };

/**
 * Whether a class selects devices of the driver alone: then its agent prepares every claim for the
 * class. False where that is not certain.
 */
export function selectsOnly(deviceClass: Manifest, driver: string): boolean {
  const drivers = selectedDrivers(deviceClass) ?? [];
  if (drivers.length === 0 || drivers.some((each) => each !== driver)) return false;
  return objectsIn((deviceClass.spec as Fields | undefined)?.selectors).some(({ cel }) => {
    try {
      const { expression } = cel as { readonly expression: string };
      return !compileSelector(expression).matches(FOREIGN);
    } catch {
      return false;
    }
  });
}
