import { errorMessage } from "../async/error_message.ts";

/** An object that cannot be used, and why. */
export interface Invalid {
  readonly invalid: string;
}

/** What a reader makes of an object; what it throws is kept for whoever asks for the object. */
export function readOrInvalid<T>(read: (value: unknown) => T): (value: unknown) => T | Invalid {
  return (value) => {
    try {
      return read(value);
    } catch (error) {
      return { invalid: errorMessage(error) };
    }
  };
}
