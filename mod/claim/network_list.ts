/**
 * A CNI network configuration list (CNI SPEC, section 1), validated once at the edge.
 *
 * Plain JSON, so that it can stand in a journal record as it is. Unknown keys of a plugin are kept:
 * they are the plugin's own.
 */
export interface NetworkList {
  readonly cniVersion: string;
  readonly name: string;
  readonly disableCheck?: boolean;
  readonly disableGC?: boolean;
  readonly plugins: readonly PluginConfig[];
}

/** One plugin's configuration in a network configuration list. */
export interface PluginConfig {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly [key: string]: unknown;
}
