import type { World } from "./world.ts";

/** What a process that has died gets from whatever it still asks for. */
class Dead extends Error {
  override readonly name = "Dead";
}

/**
 * A process of the agent, as the rest of the world sees it. It may die at any time: then nothing that
 * it asked for comes back to it, and what it does further has no effect.
 */
export class SimulatedProcess {
  readonly #world: World;
  readonly name: string;
  readonly #atDeath: (() => void)[] = [];
  #callsLeft = Infinity;
  #dead = false;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** It dies at one of its next calls: before the call does anything, or right after. */
  dieIn(calls: number): void {
    this.#callsLeft = calls;
  }

  kill(why: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#world.trace.note(`${this.name} dies: ${why}`);
    for (const tell of this.#atDeath) tell();
  }

  /** Called once, as soon as it is dead; the process may be in the middle of something. */
  onDeath(tell: () => void): void {
    if (this.#dead) tell();
    else this.#atDeath.push(tell);
  }

  /** A call that is answered at once. */
  now<T>(what: string, effect: () => T): T {
    const dies = this.#enter(what);
    const result = effect();
    if (dies) this.kill(`after ${what}`);
    return result;
  }

  /** A call that is answered later, if it is: the world does its part in `work`. */
  later<T>(what: string, work: () => Promise<T>): Promise<T> {
    let dies: boolean;
    try {
      dies = this.#enter(what);
    } catch {
      return new Promise<never>(() => {});
    }
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        if (dies) this.kill(`after ${what}`);
        if (!this.#dead) settle();
      };
      work().then((value) => end(() => resolve(value)), (error) => end(() => reject(error)));
    });
  }

  /** @returns whether it dies when the call is done */
  #enter(what: string): boolean {
    if (this.#dead) throw new Dead(what);
    if (--this.#callsLeft > 0) return false;
    this.#callsLeft = Infinity;
    if (this.#world.chance.hits("dies before", 0.5)) {
      this.kill(`before ${what}`);
      throw new Dead(what);
    }
    return true;
  }
}
