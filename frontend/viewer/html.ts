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

export function write(target: Element | null, html: string): void {
  if (!target || written.get(target) === html) return;
  written.set(target, html);
  target.innerHTML = html;
}

export function sheet(css: string): CSSStyleSheet {
  const styles = new CSSStyleSheet();
  styles.replaceSync(css);
  return styles;
}
