type Child = Node | string | undefined;

/** Makes an element; text is text, whatever it holds. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | undefined>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** A button that looks like a link. */
export function linkButton(text: string, clicked: () => void): HTMLButtonElement {
  const made = element("button", { type: "button", class: "link" }, text);
  made.addEventListener("click", clicked);
  return made;
}

/** The element of an id. @throws Error where the page has none */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Replaces what an element holds; the focus stays with what has the same `data-key`, if there is such.
 */
export function replaceKeepingFocus(parent: HTMLElement, ...children: readonly Node[]): void {
  const focused = parent.contains(document.activeElement)
    ? (document.activeElement as HTMLElement).dataset.key
    : undefined;
  parent.replaceChildren(...children);
  if (focused === undefined) return;
  parent.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus({
    preventScroll: true,
  });
}
