// The host's own look, quietened: what a reader does not need is taken away.

const CSS = `
  :root, .dark {
    --background: 223 21% 7%; --popover: 223 21% 7%; --card: 222 22% 10%; --muted: 222 22% 11%;
    --input: 222 20% 17%; --border: 222 20% 17%; --highlight: 216 100% 75%; --primary: 216 100% 75%;
    --accent: 216 40% 18%; --secondary: 222 22% 13%;
  }
  body { background: #0d0f14; }
  div:has(> div > [data-cy="undo-btn"]) { display: none; }
  div:has(> [data-cy="nodes-btn"]), div:has(> [data-cy="nodes-btn"]) + div { display: none; }
  div:has(> div > .relative > .contents > concord-tools) { left: 316px; transform: translateY(-50%); }
  concord-panel { flex: 1; min-height: 0; }
`;

export function dressHost(): void {
  const style = document.createElement("style");
  style.textContent = CSS;
  document.head.append(style);
}
