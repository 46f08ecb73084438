import type { DeviceView } from "../cluster/picture.ts";
import {
  type AttributeValue,
  compileSelector,
  type Selector,
  type SelectorDevice,
} from "../selectors/selector.ts";
import { errorMessage } from "../async/error_message.ts";

/** The devices that a request can get, or why that is not known. */
export type Matching =
  | { readonly state: "known"; readonly devices: readonly DeviceView[] }
  /** An expression is not evaluated here; `why` is a sentence without a full stop. */
  | { readonly state: "unknown"; readonly why: string };

/** The devices that satisfy all expressions of one of the ways. Pure. */
export function matchingDevices(
  devices: readonly DeviceView[],
  ways: readonly (readonly string[])[],
): Matching {
  let compiled: readonly (readonly Selector[])[];
  try {
    compiled = ways.map((expressions) => expressions.map(compileSelector));
  } catch (error) {
    return { state: "unknown", why: `a selector is not evaluated: ${errorMessage(error)}` };
  }
  const found = devices.filter((device) => {
    const seen = selectorDevice(device);
    return compiled.some((selectors) => selectors.every((selector) => matches(selector, seen)));
  });
  return { state: "known", devices: found };
}

/** Where the evaluation fails, the scheduler gives up: the pod does not land there. */
function matches(selector: Selector, device: SelectorDevice): boolean {
  try {
    return selector.matches(device);
  } catch {
    return false;
  }
}

function selectorDevice({ driver, attributes, capacity }: DeviceView): SelectorDevice {
  return {
    driver,
    allowMultipleAllocations: capacity > 1,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [name, attributeValue(value)]),
    ),
    ...(capacity > 1 && { capacity: { attachments: { value: `${capacity}` } } }),
  };
}

function attributeValue(value: string | number | boolean): AttributeValue {
  switch (typeof value) {
    case "number":
      return { int: value };
    case "boolean":
      return { bool: value };
    default:
      return { string: value };
  }
}
