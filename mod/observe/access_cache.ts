import { createHash } from "node:crypto";
import type { Access, AccessReview } from "../agent/ports.ts";
import type { Clock } from "../async/clock.ts";
import { Limiter } from "../async/limiter.ts";
import { timeLimit } from "../async/time_limit.ts";

/** For how long an answer stands, in milliseconds: a right that is taken away ends within this. */
const ALLOWED_MS = 60_000;
const REFUSED_MS = 10_000;
/** Answers that are remembered; beyond it the oldest is forgotten. */
const MOST = 1_000;
/** Questions to the API server at once, and what one may take, with its wait for a place. */
const WIDTH = 4;
const LIMIT_MS = 5_000;

/**
 * Asks once for each token, and remembers the answer for a short time: Prometheus comes again and
 * again with the same one. Failures are not remembered. Tokens are kept as hashes only.
 */
export class AccessCache {
  readonly #access: AccessReview;
  readonly #clock: Clock;
  readonly #limiter = new Limiter(WIDTH);
  readonly #answers = new Map<string, Answer>();

  constructor(access: AccessReview, { clock }: { readonly clock: Clock }) {
    this.#access = access;
    this.#clock = clock;
  }

  /** @throws what the review throws, or Error when that takes too long */
  review(token: string): Promise<Access> {
    const key = createHash("sha256").update(token).digest("base64");
    const known = this.#answers.get(key);
    if (known && this.#clock.elapsed() < known.until) return known.access;
    // Those that ask meanwhile get the same answer; it ends by its limit.
    const answer: Answer = { access: this.#ask(token), until: Infinity };
    this.#remember(key, answer);
    answer.access.then(({ kind }) => {
      answer.until = this.#clock.elapsed() + (kind === "allowed" ? ALLOWED_MS : REFUSED_MS);
    }, () => {
      if (this.#answers.get(key) === answer) this.#answers.delete(key);
    });
    return answer.access;
  }

  async #ask(token: string): Promise<Access> {
    using limit = timeLimit(this.#clock, LIMIT_MS);
    const { signal } = limit;
    return await this.#limiter.run(() => this.#access.review(token, signal), { signal });
  }

  #remember(key: string, answer: Answer): void {
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MOST) break;
      this.#answers.delete(oldest);
    }
  }
}

interface Answer {
  readonly access: Promise<Access>;
  /** By the clock that is never set back. */
  until: number;
}
