/** What goes wrong for a while, by the part of the world that it strikes. */
export const FAULTS = {
  apiDown: 3,
  apiErrors: 5,
  apiSlow: 4,
  apiHangs: 2,
  pluginFails: 8,
  pluginHangs: 2,
  pluginSlow: 4,
  pluginMissing: 2,
  checkLies: 3,
  diskFull: 3,
  diskReadOnly: 2,
  diskFails: 2,
  diskSlow: 3,
  diskStuck: 1,
  cdiReadOnly: 3,
  noDescriptors: 2,
  runtimeSlow: 2,
} as const;
export type FaultKind = keyof typeof FAULTS;

/** Which faults are on, on one node or for it. */
export class Faults {
  readonly #on = new Map<FaultKind, number>();

  begin(kind: FaultKind): void {
    this.#on.set(kind, (this.#on.get(kind) ?? 0) + 1);
  }

  end(kind: FaultKind): void {
    const left = (this.#on.get(kind) ?? 0) - 1;
    if (left > 0) this.#on.set(kind, left);
    else this.#on.delete(kind);
  }

  has(kind: FaultKind): boolean {
    return this.#on.has(kind);
  }
}
