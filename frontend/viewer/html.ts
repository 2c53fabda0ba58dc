// Small pieces of HTML: text is escaped, and a part of the page is written only when it differs,
// so that focus and scroll survive.

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function text(value: unknown): string {
  return String(value ?? "").replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
}

const written = new WeakMap<Element, string>();

/** What is being typed into a form marked `data-keep` stays, if the form does. */
export function write(target: Element | null, html: string): void {
  if (!target || written.get(target) === html) return;
  written.set(target, html);
  const typed = [...target.querySelectorAll<HTMLInputElement>("form[data-keep] input")];
  const active = (target.getRootNode() as Document | ShadowRoot).activeElement;
  target.innerHTML = html;
  for (const before of typed) {
    const form = before.form?.dataset.form;
    const field = target.querySelector<HTMLInputElement>(
      `form[data-keep][data-form="${form}"] input[name="${before.name}"]`,
    );
    if (!field) continue;
    field.value = before.value;
    const [fold, foldBefore] = [field.closest("details"), before.closest("details")];
    if (fold && foldBefore) fold.open = foldBefore.open;
    if (before !== active) continue;
    field.focus();
    field.setSelectionRange(before.selectionStart, before.selectionEnd);
  }
}

export function sheet(css: string): CSSStyleSheet {
  const styles = new CSSStyleSheet();
  styles.replaceSync(css);
  return styles;
}
