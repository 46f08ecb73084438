/** VitePress: the site of the documentation, from the repository's Markdown as it stands. */
import { fileURLToPath } from "node:url";
import { drawDiagrams } from "./diagrams.ts";
import { anchorOf, placeOf, sidebar, targetOf } from "./places.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** As far as it is used here. */
interface Token {
  readonly type: string;
  readonly children?: readonly Token[] | null;
  attrGet(name: string): string | null;
  attrSet(name: string, value: string): void;
  tag: string;
  attrs: [string, string][] | null;
}

interface MarkdownIt {
  readonly core: {
    readonly ruler: {
      push(
        name: string,
        rule: (
          state: { readonly tokens: Token[]; readonly env: { readonly path: string } },
        ) => void,
      ): void;
    };
  };
}

/** Leads links to where pages are on the site; takes braces in code spans as they are. */
function asOnCodeHosts(markdown: MarkdownIt): void {
  markdown.core.ruler.push("as_on_code_hosts", ({ tokens, env }) => {
    for (const { children } of tokens) {
      const open: Token[] = [];
      for (const token of children ?? []) {
        if (token.type === "link_open") {
          open.push(token);
          const target = targetOf(token.attrGet("href") ?? "", env.path, ROOT);
          if (target.kind === "page") token.attrSet("href", target.href);
          if (target.kind === "file") {
            token.tag = "span";
            token.attrs = [["title", `${target.path}, in the repository`]];
          }
        } else if (token.type === "code_inline") token.attrSet("v-pre", "");
        else if (token.type === "link_close") token.tag = open.pop()?.tag ?? "a";
      }
    }
  });
}

/**
 * The pages are outside of the folder that has the packages. What renders them runs within it, and
 * finds Vue itself.
 */
const vueOfThisFolder = {
  name: "vue-of-this-folder",
  config: (_: unknown, { isSsrBuild }: { readonly isSsrBuild?: boolean }) =>
    isSsrBuild ? { build: { rollupOptions: { external: ["vue", "vue/server-renderer"] } } } : {},
};

export default {
  title: "network-dra",
  description: "Networks for Kubernetes pods, claimed like devices",
  srcDir: ROOT,
  outDir: `${ROOT}dist/docs`,
  cacheDir: `${ROOT}docs/site/node_modules/.vitepress`,
  srcExclude: ["{.cache,.git,dist,mod,proto,tests}/**", "docs/site/**"],
  rewrites: (path: string) => placeOf(path) ?? path,
  // No request leaves the site: an icon would be asked for.
  head: [["link", { rel: "icon", href: "data:," }]],
  markdown: {
    config: (markdown: MarkdownIt & Parameters<typeof drawDiagrams>[0]) => {
      asOnCodeHosts(markdown);
      drawDiagrams(markdown);
    },
    anchor: { slugify: anchorOf },
  },
  themeConfig: {
    search: { provider: "local" },
    sidebar: sidebar(ROOT),
    outline: { level: [2, 3] },
    nav: [
      { text: "Install", link: "/install" },
      { text: "Examples", link: "/examples/" },
      { text: "Changes", link: "/changelog" },
    ],
  },
  vite: {
    plugins: [vueOfThisFolder],
    // The search's index and the theme are what they are.
    build: { chunkSizeWarningLimit: 2000 },
  },
};
