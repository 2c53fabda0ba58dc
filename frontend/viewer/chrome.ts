// The host's own look, quietened: what a reader does not need is taken away.

const CSS = `
  :root, .dark {
    --background: 200 17% 7%; --popover: 200 17% 7%; --card: 203 15% 10%; --muted: 203 15% 11%;
    --input: 201 15% 18%; --border: 201 15% 18%; --highlight: 170 50% 56%; --primary: 170 50% 56%;
    --accent: 173 37% 18%; --secondary: 202 15% 13%;
  }
  body { background: #0f1315; }
  div:has(> div > [data-cy="undo-btn"]) { display: none; }
  div:has(> :is([data-cy="nodes-btn"], [data-cy="settle-btn"])),
  div:has(> :is([data-cy="nodes-btn"], [data-cy="settle-btn"])) + div { display: none; }
  div:has(> div > .relative > .contents > :is(concord-tools, concord-settle-tools)) { left: 316px; transform: translateY(-50%); }
  concord-panel, concord-settle-panel { flex: 1; min-height: 0; }
`;

export function dressHost(): void {
  const style = document.createElement("style");
  style.textContent = CSS;
  document.head.append(style);
}
