import { type ObjectSource, type Page, ReadError, type WatchChange } from "../cluster/ports.ts";

/** A source that notes whether the API server answers, for who shows what was read earlier. */
export class NotedSource implements ObjectSource {
  readonly #source: ObjectSource;
  readonly #changed: () => void;
  /** By path, without its query. */
  readonly #silent = new Map<string, string>();

  /** @param changed called when `away` may be different */
  constructor(source: ObjectSource, changed: () => void) {
    this.#source = source;
    this.#changed = changed;
  }

  /** Why what was read may be old; undefined while the API server answers. */
  get away(): string | undefined {
    const [message] = this.#silent.values();
    return message;
  }

  async *list(path: string, signal: AbortSignal): AsyncGenerator<Page> {
    yield* this.#noted(path, this.#source.list(path, signal));
  }

  async *watch(
    path: string,
    options: { readonly resourceVersion: string; readonly signal: AbortSignal },
  ): AsyncGenerator<WatchChange> {
    yield* this.#noted(path, this.#source.watch(path, options));
  }

  async *#noted<T>(path: string, answers: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      for await (const answer of answers) {
        if (this.#silent.delete(path)) this.#changed();
        yield answer;
      }
    } catch (error) {
      if (error instanceof ReadError) this.#note(path, error);
      throw error;
    }
  }

  #note(path: string, { reason, message }: ReadError): void {
    // Others are an answer: that one has no right, for example.
    const isSilent = reason === "unanswered" || reason === "failed";
    const before = this.#silent.get(path);
    if (isSilent) this.#silent.set(path, message);
    else this.#silent.delete(path);
    if (before !== this.#silent.get(path)) this.#changed();
  }
}
