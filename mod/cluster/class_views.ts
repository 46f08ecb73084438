import type { OwnClaims } from "./drivers.ts";
import type { ClassObject } from "./objects.ts";
import type { ClassView } from "./picture.ts";

/** The classes of this driver, by name. */
export function classViews(classes: readonly ClassObject[], own: OwnClaims): ClassView[] {
  return classes.filter(({ name }) => own.classNamed(name))
    .map(({ name, configs, selectors }) => ({
      name,
      networks: configs.flatMap(({ network }) => network ?? []),
      selectors,
    }))
    .toSorted((one, other) => one.name < other.name ? -1 : 1);
}
