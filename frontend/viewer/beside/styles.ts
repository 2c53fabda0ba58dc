// The look of what lies beside.

import { sheet } from "../html";
import { TOKENS } from "../panel/styles";

export const paneSheet = sheet(`${TOKENS}
  :host { display: block; background: #000; overflow: hidden; cursor: default; }
  :host(:focus-visible) { outline: 2px solid var(--accent); outline-offset: -2px; }
  canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
  .head, .foot { position: absolute; left: 0; right: 0; display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px;
    padding: 6px 8px; font-size: 11.5px; text-shadow: 0 0 3px #000, 0 0 3px #000; }
  .head { top: 0; } .foot { bottom: 0; color: var(--soft); background: #0f1315cc; }
  .head b { font-weight: 600; }
  .head span { color: var(--soft); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; flex: 1; }
  .head span:empty { flex: 1; }
  .warn { color: var(--warn); } .how { color: var(--soft); }
  button { padding: 2px 7px; border-color: var(--line); color: var(--ink); background: var(--ground); }
  button:hover:enabled { background: var(--hover); }
  .primary { background: var(--accent); color: var(--on-accent); border-color: transparent; font-weight: 600; }
  .primary:hover:enabled { background: var(--accent); }
  .primary kbd { color: inherit; border-color: currentColor; }
  .cross { position: absolute; left: 50%; top: 50%; width: 23px; height: 23px; margin: -12px 0 0 -12px; pointer-events: none;
    background: linear-gradient(var(--warn), var(--warn)) 50%/1px 100% no-repeat, linear-gradient(var(--warn), var(--warn)) 50%/100% 1px no-repeat; }
`);

export const chooserSheet = sheet(`${TOKENS}
  :host { position: absolute; left: 10px; top: 10px; z-index: 13; width: min(340px, calc(100% - 60px)); }
  div { background: #161b1eee; border: 1px solid var(--line); border-radius: 8px; padding: 8px; }
  h3 { margin: 0 0 6px; padding: 0 6px; font-size: 12px; font-weight: 600; color: var(--soft); }
  ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 1px; }
  button { display: grid; grid-template-columns: auto 1fr; gap: 2px 8px; align-items: center; width: 100%; padding: 5px 6px; text-align: left; }
  button:hover, button[aria-current="true"] { background: var(--hover); border-color: var(--line); }
  button[aria-current="true"] b { color: var(--accent); }
  b { font-weight: 600; font-size: 12.5px; }
  span { grid-column: 1 / -1; color: var(--soft); font-size: 11.5px; overflow-wrap: anywhere; }
`);
