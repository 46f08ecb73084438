import type { MakeTarget } from "./target.ts";
import { makeClaims } from "./targets/claims.ts";
import { makeConfig } from "./targets/config.ts";
import { makeGrpc } from "./targets/grpc.ts";
import { makeJournal } from "./targets/journal.ts";
import { makeMigrate } from "./targets/migrate.ts";
import { makeMux } from "./targets/mux.ts";
import { makeNri } from "./targets/nri.ts";
import { makePlugins } from "./targets/plugins.ts";
import { makeProtobuf } from "./targets/protobuf.ts";
import { makeTtrpc } from "./targets/ttrpc.ts";

/** By name; with how many inputs a long run gives to each. */
export type Targets = Readonly<
  Record<string, { readonly make: MakeTarget; readonly inputs: number }>
>;

/** Everything that takes input from outside. */
export const TARGETS: Targets = {
  mux: { make: makeMux, inputs: 1_000_000 },
  ttrpc: { make: makeTtrpc, inputs: 1_000_000 },
  protobuf: { make: makeProtobuf, inputs: 1_000_000 },
  nri: { make: makeNri, inputs: 100_000 },
  grpc: { make: makeGrpc, inputs: 100_000 },
  claims: { make: makeClaims, inputs: 100_000 },
  plugins: { make: makePlugins, inputs: 100_000 },
  journal: { make: makeJournal, inputs: 100_000 },
  config: { make: makeConfig, inputs: 100_000 },
  migrate: { make: makeMigrate, inputs: 100_000 },
};
