/** A request to the API server that failed. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** The HTTP status; undefined when no answer came. */
  readonly status?: number;

  constructor(
    { verb, path, status, problem, cause }: {
      readonly verb: string;
      readonly path: string;
      readonly status?: number;
      readonly problem: string;
      readonly cause?: unknown;
    },
  ) {
    super(`${verb} ${path}: ${status === undefined ? "" : `${status}: `}${problem}`, { cause });
    this.status = status;
  }
}
