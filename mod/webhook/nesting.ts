const [QUOTE, BACKSLASH, OPENED, CLOSED] = [0x22, 0x5c, [0x5b, 0x7b], [0x5d, 0x7d]];

/**
 * Whether lists and objects of JSON are nested deeper than `most` levels. JSON that is nested a million
 * levels deep takes seconds to parse.
 */
export function isDeeper(json: string, most: number): boolean {
  let [depth, inText] = [0, false];
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (inText && code === BACKSLASH) i++;
    else if (code === QUOTE) inText = !inText;
    else if (inText) continue;
    else if (OPENED.includes(code)) {
      if (++depth > most) return true;
    } else if (CLOSED.includes(code)) depth--;
  }
  return false;
}
