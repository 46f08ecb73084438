const INTERVAL = 100;

/**
 * Looks again and again until there is something to see, and gives it.
 *
 * @param look gives undefined while there is nothing yet
 * @param explain what there is instead, for the error when the time is over
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { limit = 60_000, explain }: {
    readonly limit?: number;
    readonly explain?: () => Promise<string>;
  } = {},
): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > end) {
      const instead = explain ? `\n${await explain()}` : "";
      throw new Error(`not within ${limit / 1000} s: ${what}${instead}`);
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}
