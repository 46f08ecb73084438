/** Diagrams in Mermaid's language as pictures, drawn when the site is built. */

/** As far as it is used here. */
interface Fences {
  readonly renderer: { readonly rules: { fence?: RenderFence } };
}

type RenderFence = (
  tokens: readonly { readonly info: string; readonly content: string }[],
  index: number,
  ...rest: readonly unknown[]
) => string;

/** Deno, which checks this file, does not know the packages of the site. */
const PACKAGE: string = "beautiful-mermaid";
const { renderMermaidSVG } = await import(PACKAGE) as {
  renderMermaidSVG(text: string, options: Readonly<Record<string, unknown>>): string;
};

/** Of the site's theme: light or dark. */
const COLORS = { bg: "var(--vp-c-bg)", fg: "var(--vp-c-text-1)", transparent: true };

/** Draws blocks of code whose language is mermaid. */
export function drawDiagrams({ renderer: { rules } }: Fences): void {
  const fence = rules.fence!;
  rules.fence = (tokens, index, ...rest) => {
    const { info, content } = tokens[index]!;
    return info.trim() === "mermaid" ? picture(content) : fence(tokens, index, ...rest);
  };
}

/** Wide ones can be scrolled. */
function picture(text: string): string {
  // The font is one that the site has; no other host is asked for it.
  const svg = renderMermaidSVG(text, COLORS).replaceAll(/@import url\([^)]*\);/g, "");
  const html = JSON.stringify(svg).replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return `<div class="diagram" style="overflow-x: auto" v-html="${html}"></div>\n`;
}
