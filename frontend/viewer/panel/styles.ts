// The panel's look: dark, dense, calm, and the colours of the pages (styles/concord.css).

import { sheet } from "../html";

export const TOKENS = `
  :host {
    --ground: #0f1315; --raised: #1d2428; --line: #283136; --hover: #161b1e;
    --ink: #dbe3e5; --soft: #97a5aa; --faint: #8b999e;
    --accent: #57c7b4; --accent-ground: #1d3f3b; --on-accent: #04211c;
    --warn: #dfb160; --warn-ground: #3a2f1a;
    font: 13px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
    color: var(--ink); font-variant-numeric: tabular-nums;
  }
  *, *::before, *::after { box-sizing: border-box; }
  button {
    font: inherit; color: inherit; background: none; border: 1px solid transparent;
    border-radius: 5px; cursor: pointer; padding: 0;
  }
  button:disabled { cursor: default; opacity: .4; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
  kbd {
    font: 600 10px/1 ui-monospace, SFMono-Regular, Menlo, monospace; color: var(--soft);
    border: 1px solid var(--line); border-radius: 3px; padding: 2px 4px; white-space: nowrap;
  }
  [hidden] { display: none !important; }
`;

export const panelSheet = sheet(`${TOKENS}
  :host { display: block; background: var(--ground); }
  .panel { position: relative; display: flex; flex-direction: column; height: 100%; min-height: 0; }

  header { padding: 12px 14px 10px; border-bottom: 1px solid var(--line); }
  .title { display: flex; align-items: center; gap: 8px; }
  .title h2 { margin: 0; font-size: 17px; font-weight: 650; letter-spacing: .01em; }
  .chip { font-size: 11px; color: var(--soft); border: 1px solid var(--line); border-radius: 9px; padding: 1px 7px; }
  .title .help { margin-left: auto; width: 24px; height: 24px; color: var(--soft); border-color: var(--line); }
  .title .help:hover { color: var(--ink); background: var(--hover); }
  .save { display: flex; align-items: center; gap: 6px; margin-top: 6px; color: var(--soft); font-size: 12px; }
  .save .untold { color: var(--warn); }
  .save .rest { margin-left: auto; color: var(--soft); }
  .save .rest button { width: 20px; color: var(--soft); }
  .save::before { content: ""; width: 7px; height: 7px; border-radius: 50%; background: var(--accent); }
  .save[data-state="saving"]::before, .save[data-state="loading"]::before { background: none; border: 1.5px solid var(--accent); }
  .save[data-state="offline"], .save[data-state="signed_out"], .save[data-state="conflict"], .save[data-state="stopped"] { color: var(--warn); }
  .save[data-state="offline"]::before, .save[data-state="signed_out"]::before, .save[data-state="conflict"]::before,
  .save[data-state="stopped"]::before { background: var(--warn); }
  .save[data-state="read_only"]::before { background: var(--faint); }
  .fine { margin: 6px 0 0; font-size: 11.5px; color: var(--faint); }
  .fine.excluded { color: var(--warn); }

  .bar { margin: 8px 0 0; padding: 8px 10px; border-radius: 6px; background: var(--warn-ground); color: var(--warn); font-size: 12px; }
  .bar .choices { display: flex; gap: 6px; margin-top: 7px; }
  .bar button, .plain { padding: 4px 10px; border-color: currentColor; }
  .run { margin-top: 10px; }
  .run .words { display: flex; justify-content: space-between; font-size: 12px; color: var(--soft); }
  .track { height: 3px; margin-top: 5px; border-radius: 2px; background: var(--line); overflow: hidden; }
  .track i { display: block; height: 100%; background: var(--accent); border-radius: 2px; transition: width .4s; }

  .offer { display: flex; align-items: center; gap: 8px; padding: 8px 14px; border-bottom: 1px solid var(--line); background: var(--accent-ground); font-size: 12.5px; }
  .offer span { flex: 1; }
  .offer > button { padding: 3px 9px; border-color: var(--accent); color: var(--accent); white-space: nowrap; }
  .differences { list-style: none; margin: 0; padding: 0; max-height: 34vh; overflow-y: auto; border-bottom: 1px solid var(--line); scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .differences li { display: flex; align-items: center; gap: 8px; padding-right: 10px; border-left: 3px solid transparent; }
  .differences li[aria-current="true"] { background: var(--raised); border-left-color: var(--accent); }
  .differences li > button { flex: 1; display: grid; grid-template-columns: 62px minmax(0, 1fr); gap: 8px; padding: 5px 0 5px 11px; text-align: left; font-size: 12.5px; }
  .differences li > button:hover { background: var(--hover); }
  .differences b { font-weight: 600; color: var(--accent); }
  .differences [data-kind="gone"] b { color: var(--warn); }
  .differences small { display: block; color: var(--soft); font-size: 11.5px; }
  .run .words button { color: var(--soft); text-decoration: underline; text-underline-offset: 2px; }

  .counts { display: grid; grid-template-columns: 1fr 1fr auto; align-items: center; gap: 7px 6px; padding: 9px 14px; border-bottom: 1px solid var(--line); }
  .tally { grid-column: 1 / -1; display: flex; align-items: center; gap: 10px; white-space: nowrap; }
  select {
    min-width: 0; font: inherit; font-size: 11.5px; color: var(--soft); background: var(--ground); height: 24px;
    border: 1px solid var(--line); border-radius: 5px; padding: 0 3px;
  }
  select:hover { color: var(--ink); }
  .counts b { font-weight: 650; }
  .counts .track { flex: 1; margin: 0; }
  .toggle { font-size: 11.5px; color: var(--soft); padding: 2px 7px; border-color: var(--line); }
  .toggle:hover { color: var(--ink); }
  .toggle[aria-pressed="true"] { color: var(--accent); border-color: var(--accent); }

  .list { flex: 1; min-height: 0; overflow-y: auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .heading {
    position: sticky; top: 0; z-index: 1; display: flex; justify-content: space-between; padding: 4px 14px; background: var(--ground);
    border-bottom: 1px solid var(--raised); font-size: 11px; letter-spacing: .04em; color: var(--soft);
  }
  .empty { padding: 22px 14px; color: var(--soft); }
  .row { border-bottom: 1px solid #1d2428; border-left: 3px solid transparent; padding: 6px 10px 6px 9px; cursor: pointer; }
  .row:not([aria-current="true"]) { content-visibility: auto; contain-intrinsic-block-size: auto 51px; }
  .row:hover { background: var(--hover); }
  .row[aria-current="true"] { background: var(--raised); border-left-color: var(--accent); }
  .line { display: grid; grid-template-columns: 40px minmax(0, 1fr) auto; align-items: center; column-gap: 8px; }
  .name { display: flex; align-items: center; gap: 7px; font-weight: 650; }
  .swatch { width: 10px; height: 10px; border-radius: 3px; border: 2px solid var(--node); background: color-mix(in srgb, var(--node) 35%, transparent); }
  .row[data-decision="rejected"] .swatch { border-style: dashed; background: none; }
  .row[data-decision="rejected"] .size { text-decoration: line-through; color: var(--faint); }
  .size { font-weight: 550; white-space: nowrap; }
  .size small { font-weight: 400; color: var(--soft); font-size: 12px; }
  .near { padding: 0 4px; border-radius: 3px; background: var(--warn-ground); color: var(--warn); font-size: 11px; font-weight: 550; }
  .sub { display: flex; gap: 6px; align-items: center; color: var(--soft); font-size: 11.5px; white-space: nowrap; flex-wrap: wrap; overflow: hidden; }
  .sub .unset { color: var(--faint); }
  .sub .place { color: var(--ink); }
  .score { color: var(--faint); margin-left: auto; }
  .badge { border-radius: 3px; padding: 0 5px; background: var(--line); color: var(--ink); font-size: 11px; }
  .badge.undecided { background: none; color: var(--faint); padding: 0; }
  .badge.accepted, .badge.reshaped, .badge.added { background: var(--accent-ground); color: var(--accent); }
  .badge.doubt { background: var(--warn-ground); color: var(--warn); }
  .acts { display: flex; gap: 4px; }
  .acts button { width: 27px; height: 27px; color: var(--soft); border-color: var(--line); font-size: 13px; }
  .acts button:hover:enabled { color: var(--ink); border-color: var(--faint); }
  .acts button[aria-pressed="true"] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
  .acts .no[aria-pressed="true"] { background: var(--faint); border-color: var(--faint); color: var(--ground); }

  .more { padding: 8px 0 3px; cursor: default; }
  .labels { display: flex; gap: 4px; }
  .labels button { flex: 1; padding: 4px 2px; border-color: var(--line); color: var(--soft); font-size: 12px; }
  .labels button:hover:enabled { color: var(--ink); border-color: var(--faint); }
  .labels button[aria-pressed="true"] { background: var(--accent-ground); border-color: var(--accent); color: var(--accent); }
  .labels .doubt[aria-pressed="true"] { background: var(--warn-ground); border-color: var(--warn); color: var(--warn); }
  .sure { display: flex; align-items: center; gap: 8px; margin-top: 7px; color: var(--soft); font-size: 11.5px; }
  .sure input { flex: 1; accent-color: var(--accent); height: 14px; }
  .flags { margin: 6px 0 0; font-size: 11.5px; color: var(--warn); }
  .reasons { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 4px; margin-top: 2px; }
  .reasons p { grid-column: 1 / -1; margin: 0 0 2px; color: var(--soft); font-size: 11.5px; }
  .reasons button { display: flex; align-items: center; gap: 5px; padding: 4px 5px; border-color: var(--line); font-size: 11.5px; text-align: left; line-height: 1.15; }
  .reasons button[aria-pressed="true"] { background: var(--accent-ground); border-color: var(--accent); color: var(--accent); }
  .by-hand { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; margin-top: 2px; font-size: 11.5px; }
  .by-hand p { flex: 1 0 100%; margin: 0; color: var(--soft); }
  .by-hand label { display: flex; align-items: center; gap: 5px; color: var(--soft); }
  .by-hand input { width: 52px; padding: 4px 6px; border: 1px solid var(--line); border-radius: 4px; background: var(--ground); color: inherit; font: inherit; font-variant-numeric: tabular-nums; appearance: textfield; }
  .by-hand input::-webkit-inner-spin-button { display: none; }
  .by-hand button { padding: 4px 10px; border-color: var(--line); }
  .place-choice button { overflow: hidden; text-overflow: ellipsis; }
  .reasons button:hover { background: var(--hover); border-color: var(--faint); }

  footer { border-top: 1px solid var(--line); padding: 9px 14px 12px; }
  .checks { list-style: none; margin: 0 0 9px; padding: 0; max-height: 118px; overflow-y: auto; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .checks li { display: flex; gap: 7px; font-size: 12px; color: var(--soft); padding: 1.5px 0; }
  .checks li::before { content: "○"; color: var(--faint); }
  .checks li[data-ok="true"]::before { content: "✓"; color: var(--accent); }
  .checks li[data-ok="true"] { color: var(--faint); }
  .checks li[data-warning="true"]::before { content: "!"; color: var(--warn); }
  .checks li[data-warning="true"] { color: var(--soft); }
  .checks button { text-align: left; text-decoration: underline; text-decoration-color: var(--line); text-underline-offset: 2px; }
  .checks .more-like { color: var(--faint); white-space: nowrap; }
  .checks button:hover { color: var(--ink); text-decoration-color: var(--faint); }
  .primary { width: 100%; padding: 8px 10px; background: var(--accent); color: var(--on-accent); font-weight: 650; }
  .primary kbd { color: inherit; border-color: currentColor; }
  .primary:disabled { background: var(--line); color: var(--soft); opacity: 1; }
  .signed { color: var(--soft); font-size: 12px; }
  .signed b { color: var(--ink); }
  .hash { font: 11px ui-monospace, SFMono-Regular, Menlo, monospace; color: var(--faint); word-break: break-all; }

  .sheet { position: absolute; inset: 0; overflow-y: auto; background: var(--ground); padding: 16px 16px 20px; z-index: 2; }
  .sheet h3 { margin: 0 0 10px; font-size: 15px; }
  .sheet h4 { margin: 14px 0 5px; font-size: 11px; letter-spacing: .06em; text-transform: uppercase; color: var(--faint); }
  .sheet-head { display: flex; align-items: center; gap: 6px; }
  .sheet-head h3 { margin: 0 auto 0 0; }
  .keys { list-style: none; margin: 0; padding: 0; font-size: 12.5px; }
  .keys li { display: flex; }
  .keys li > button:first-child { flex: 1; display: grid; grid-template-columns: 92px 1fr; gap: 8px; padding: 2px 4px; text-align: left; }
  .keys button:hover { background: var(--hover); }
  .keys button[aria-pressed="true"] { border-color: var(--accent); background: var(--accent-ground); }
  .keys em { color: var(--faint); font-style: normal; }
  .keys .reset { width: 26px; color: var(--soft); }
  .sheet dl { display: grid; grid-template-columns: 92px 1fr; gap: 4px 8px; margin: 0; font-size: 12.5px; }
  .sheet dt, .sheet dd { margin: 0; }
  .sheet label { display: block; margin: 12px 0 4px; color: var(--soft); font-size: 12px; }
  .sheet input[type="password"] {
    width: 100%; padding: 7px 9px; font: inherit; color: var(--ink); background: var(--raised);
    border: 1px solid var(--line); border-radius: 5px;
  }
  .sheet textarea {
    width: 100%; padding: 7px 9px; font: inherit; color: var(--ink); background: var(--raised);
    border: 1px solid var(--line); border-radius: 5px; resize: vertical;
  }
  .sheet .fine { margin: 4px 0 8px; }
  .told { list-style: none; margin: 16px 0 0; padding: 0; }
  .told li { padding: 7px 0; border-top: 1px solid var(--line); font-size: 12.5px; }
  .told small { display: block; color: var(--soft); font-size: 11.5px; }
  .facts { margin: 0; padding: 0 0 0 16px; color: var(--soft); font-size: 12.5px; }
  .facts b { color: var(--ink); }
  .meaning { margin: 12px 0 0; padding: 9px 11px; border-left: 2px solid var(--accent); background: var(--raised); font-size: 12.5px; }
  .wrong { color: var(--warn); font-size: 12px; min-height: 18px; margin: 6px 0; }
  .buttons { display: flex; gap: 8px; }
  .buttons .plain { flex: 0 0 auto; border-color: var(--line); color: var(--soft); padding: 8px 14px; }
`);
