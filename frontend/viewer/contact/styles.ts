// The contact sheet's look.

import { sheet } from "../html";
import { TOKENS } from "../panel/styles";
import { GAP_PX, WORDS_PX } from "./grid";

export const contactSheet = sheet(`${TOKENS}
  :host { position: fixed; z-index: 40; display: block; background: #0a0d0e; outline: none; }
  .sheet { display: grid; grid-template-rows: auto 1fr auto; height: 100%; }
  header { display: flex; align-items: center; gap: 14px; height: 46px; padding: 0 16px; border-bottom: 1px solid var(--line); }
  header h2 { margin: 0; font-size: 15px; font-weight: 650; }
  header .tally { color: var(--soft); font-size: 12.5px; }
  header .track { width: 120px; height: 3px; border-radius: 2px; background: var(--line); overflow: hidden; }
  header .track i { display: block; height: 100%; background: var(--accent); }
  header .loading { color: var(--faint); font-size: 12px; }
  header button { margin-left: auto; padding: 4px 10px; border-color: var(--line); color: var(--soft); font-size: 12px; }
  header button:hover { color: var(--ink); }
  .tiles { outline: none; min-height: 0; padding: 14px 16px; overflow: hidden; display: grid; gap: ${GAP_PX}px; align-content: center; justify-content: center;
    scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .tiles.scrolls { overflow-y: auto; align-content: start; }
  .tile { position: relative; border-radius: 5px; overflow: hidden; background: var(--ground); cursor: pointer; outline: 1px solid var(--raised); }
  .tile:hover { outline-color: var(--line); }
  .tile[aria-selected="true"] { outline: 2px solid var(--accent); }
  .pictures { display: flex; gap: 1px; background: #05070a; }
  .pictures canvas { width: var(--edge); height: var(--edge); background: #10171a; display: block; }
  .tile[data-decision="rejected"] .pictures { opacity: .35; }
  .words { display: flex; align-items: center; gap: 8px; height: ${WORDS_PX}px; padding: 0 7px; font-size: 12px; white-space: nowrap; color: var(--soft); }
  .number { display: inline-flex; align-items: center; gap: 5px; font-weight: 650; color: var(--ink); }
  .number i { width: 8px; height: 8px; border-radius: 2px; background: var(--node); }
  .tile[data-decision="rejected"] .number i { background: none; border: 1.5px dashed var(--node); }
  .tile[data-decision="rejected"] .size { text-decoration: line-through; color: var(--faint); }
  .state { margin-left: auto; display: flex; gap: 4px; overflow: hidden; }
  .state b { font-weight: 500; font-size: 11px; border-radius: 3px; padding: 0 5px; background: var(--line); color: var(--ink); }
  .state b.accepted, .state b.reshaped, .state b.added { background: var(--accent-ground); color: var(--accent); }
  .state b.doubt { background: var(--warn-ground); color: var(--warn); }
  .words .acts { display: none; gap: 3px; }
  .tile:hover .acts { display: flex; position: absolute; right: 5px; bottom: 3px; background: var(--ground); }
  .acts span { width: 22px; height: 21px; border: 1px solid var(--line); border-radius: 5px; color: var(--soft); font-size: 12px; line-height: 19px; text-align: center; }
  .acts span:hover { color: var(--ink); border-color: var(--faint); }
  footer { min-height: 40px; padding: 7px 16px; border-top: 1px solid var(--line); color: var(--soft); font-size: 12px; display: flex; gap: 6px 16px; align-items: center; flex-wrap: wrap; }
  .reasons { display: flex; flex-wrap: wrap; gap: 5px; align-items: center; }
  .reasons p { margin: 0 6px 0 0; color: var(--ink); }
  .reasons button { display: flex; align-items: center; gap: 5px; padding: 3px 8px; border-color: var(--line); font-size: 12px; }
  .reasons button:hover { background: var(--hover); }
  .empty { grid-column: 1 / -1; color: var(--soft); padding: 30px; text-align: center; }
`);
