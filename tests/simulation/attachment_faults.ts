/** At which step an operation fails, or what CHECK says of what is whole. */
export type FailedStep = "before" | "middle" | "after" | "lie";

/** An operation that fails. */
export interface FailedOperation {
  readonly command: "ADD" | "DEL" | "CHECK";
  readonly step: FailedStep;
  /** Called when it fails. */
  readonly then?: (attachment: string) => void;
}

/** Faults that strike the operations of one attachment, one after the other. */
export class AttachmentFaults {
  readonly #courses = new Map<string, FailedOperation[]>();
  /** For attachments whose ADD is to come. */
  readonly #awaiting: FailedOperation[][] = [];

  /** @param attachment by its name; undefined: that whose ADD comes next */
  begin(attachment: string | undefined, course: readonly FailedOperation[]): void {
    if (attachment === undefined) this.#awaiting.push([...course]);
    else this.#courses.set(attachment, [...course]);
  }

  /** How an operation is to fail that begins now. */
  next({ command, attachment }: {
    readonly command: string;
    readonly attachment: string;
  }): FailedOperation | undefined {
    const awaited = command === "ADD" ? this.#awaiting.shift() : undefined;
    if (awaited) this.#courses.set(attachment, awaited);
    const course = this.#courses.get(attachment);
    return course?.[0]?.command === command ? course.shift() : undefined;
  }
}
