/** Bad Request, Content Too Large, Unprocessable Content. */
const REFUSED: readonly number[] = [400, 413, 422];

/** A request to the API server that failed. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  /** The HTTP status; undefined when no answer came. */
  readonly status?: number;
  /** What is wrong, without the request. */
  readonly problem: string;
  /** The fields of the object that the API server finds invalid, e.g. `status.allocation`. */
  readonly fields: readonly string[];
  /** Whether the API server would refuse the same again: it finds the request invalid, or too long. */
  readonly refused: boolean;
  /** Seconds after which the API server wants to be asked again, where it says so. */
  readonly retryAfter?: number;

  constructor(
    { verb, path, status, retryAfter, problem, fields = [], cause }: {
      readonly verb: string;
      readonly path: string;
      readonly status?: number;
      readonly retryAfter?: number;
      readonly problem: string;
      readonly fields?: readonly string[];
      readonly cause?: unknown;
    },
  ) {
    super(`${verb} ${path}: ${status === undefined ? "" : `${status}: `}${problem}`, { cause });
    this.status = status;
    this.problem = problem;
    this.fields = fields;
    this.refused = status !== undefined && REFUSED.includes(status);
    this.retryAfter = retryAfter;
  }
}
