import { CLAIMS } from "./claims.ts";
import { DEVICES } from "./devices.ts";
import { ENDS } from "./ends.ts";
import { EXAMPLE_CASES } from "./examples.ts";
import { MISTAKES } from "./mistakes.ts";
import { RESTARTS } from "./restarts.ts";
import { RIGHTS } from "./rights.ts";

export const CASES = {
  ...CLAIMS,
  ...DEVICES,
  ...ENDS,
  ...RESTARTS,
  ...MISTAKES,
  ...RIGHTS,
  ...EXAMPLE_CASES,
};
