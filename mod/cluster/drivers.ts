import type { AgentPod, ClaimSpecObject, ClassObject } from "./objects.ts";

/** The driver's name unless it is configured otherwise. */
export const USUAL_DRIVER = "dra.networking";

/** The driver names that a picture is about. @param given the one that the user wants */
export function driversOf(agents: readonly AgentPod[], given?: string): string[] {
  if (given !== undefined) return [given];
  const named = new Set(agents.flatMap(({ driver }) => driver ?? []));
  return named.size > 0 ? [...named].toSorted() : [USUAL_DRIVER];
}

/** Tells which classes and claims are this driver's: by their parameters, and by their selectors. */
export class OwnClaims {
  readonly #drivers: readonly string[];
  readonly #classes: ReadonlyMap<string, ClassObject>;

  constructor(drivers: readonly string[], classes: readonly ClassObject[]) {
    this.#drivers = drivers;
    const own = classes.filter(({ configs, selectors }) =>
      this.#isNamed(selectors) || configs.some(({ driver }) => this.#drivers.includes(driver))
    );
    this.#classes = new Map(own.map((each) => [each.name, each]));
  }

  /** The class of that name, if it is this driver's. */
  classNamed(name: string): ClassObject | undefined {
    return this.#classes.get(name);
  }

  /** Whether a claim that is not allocated yet may come to have devices of this driver. */
  has({ requests, configs }: ClaimSpecObject): boolean {
    return configs.some(({ driver }) => this.#drivers.includes(driver)) ||
      requests.some(({ className, selectors }) =>
        this.#classes.has(className) || this.#isNamed(selectors)
      );
  }

  /** A CEL expression names the driver in quotes: `device.driver == "dra.networking"`. */
  #isNamed(selectors: readonly string[]): boolean {
    return selectors.some((expression) =>
      this.#drivers.some((driver) =>
        expression.includes(`"${driver}"`) || expression.includes(`'${driver}'`)
      )
    );
  }
}
