import { byId } from "./elements.ts";

const TABS = ["pods", "problems", "timeline"] as const;

/** A list of the page. */
export type Tab = typeof TABS[number];

/** Tabs as the ARIA practices have them: arrow keys go from one to the next. */
export function startTabs(
  list: HTMLElement,
  changed: () => void,
): { readonly current: () => Tab } {
  let current: Tab = "pods";
  const show = () => {
    for (const tab of TABS) {
      const button = byId(`tab-${tab}`);
      button.setAttribute("aria-selected", `${tab === current}`);
      button.tabIndex = tab === current ? 0 : -1;
      byId(`panel-${tab}`).hidden = tab !== current;
    }
  };
  const choose = (tab: Tab) => {
    current = tab;
    show();
    changed();
  };
  for (const tab of TABS) byId(`tab-${tab}`).addEventListener("click", () => choose(tab));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    choose(TABS.at((TABS.indexOf(current) + step) % TABS.length)!);
    byId(`tab-${current}`).focus();
  });
  show();
  return { current: () => current };
}
