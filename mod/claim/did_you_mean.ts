/**
 * The known word that someone most likely meant: the same except for upper and lower case, or with at
 * most two letters added, left out, changed or swapped (one in a word of three letters, none in a
 * shorter one).
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  const most = word.length >= 4 ? 2 : word.length === 3 ? 1 : 0;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    if (name === word || Math.abs(name.length - word.length) > most) continue;
    const apart = distance(lower, name.toLowerCase());
    if (apart <= most && (!best || apart < best.distance)) best = { name, distance: apart };
  }
  return best?.name;
}

/** ` (did you mean "master"?)`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return meant === undefined ? "" : ` (did you mean ${JSON.stringify(meant)}?)`;
}

/** Letters to add, remove, change or swap with the next, from one word to the other. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        row[j - 1]! + 1,
        last[j]! + 1,
        last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        swapped ? before[j - 2]! + 1 : Infinity,
      );
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
