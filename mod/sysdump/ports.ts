/** The container of an agent's pod. */
export interface AgentContainer {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** Which part of a log is wanted. */
export interface LogRequest extends AgentContainer {
  /** That of the container before its last restart. */
  readonly previous: boolean;
  /** Only lines of this time, in seconds. */
  readonly sinceSeconds: number;
  /** Bytes, of the log's end. */
  readonly most: number;
  readonly signal: AbortSignal;
}

/** What a program in a container has written. */
export interface ProgramOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** The API server, as an archive is filled from it. Every wait has a limit. */
export interface DumpSource {
  /**
   * The objects of a list, a page at a time.
   *
   * @throws ReadError
   */
  pages(path: string, signal: AbortSignal): AsyncIterable<readonly unknown[]>;
  /** An answer in JSON. @throws ReadError */
  get(path: string, signal: AbortSignal): Promise<unknown>;
  /** The end of a log. @throws ReadError */
  log(request: LogRequest): Promise<{ readonly bytes: Uint8Array; readonly cut: boolean }>;
  /**
   * Runs a program of the container, whatever its exit code.
   *
   * @throws ReadError
   */
  exec(
    container: AgentContainer,
    options: {
      readonly command: readonly string[];
      readonly most: number;
      readonly signal: AbortSignal;
    },
  ): Promise<ProgramOutput>;
}

/** Takes files one after the other. */
export interface Archive {
  /** @param path with "/" between folders */
  add(path: string, content: Uint8Array): Promise<void>;
}
