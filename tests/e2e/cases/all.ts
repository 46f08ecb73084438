import { CLAIMS } from "./claims.ts";
import { ENDS } from "./ends.ts";
import { MISTAKES } from "./mistakes.ts";
import { RESTARTS } from "./restarts.ts";
import { RIGHTS } from "./rights.ts";

export const CASES = { ...CLAIMS, ...ENDS, ...RESTARTS, ...MISTAKES, ...RIGHTS };
