// What the settling panel adds to the reading panel's look.

import { sheet } from "../../html";

/** X and Y as the images show them. */
export const settleSheet = sheet(`
  :host { --x: #e69f00; --y: #56b4e9; min-width: 0; }
  header { padding: 10px 14px 8px; }
  .title h2, .title .chip { white-space: nowrap; }
  .quiet { color: var(--soft); }
  .fine.warn { color: var(--warn); }
  .tabs { display: flex; border-bottom: 1px solid var(--line); padding: 0 8px; }
  .tabs button { flex: 1; padding: 7px 4px 6px; color: var(--soft); border-radius: 0; border-bottom: 2px solid transparent; }
  .tabs button[aria-selected="true"] { color: var(--ink); border-bottom-color: var(--accent); font-weight: 600; }
  .tabs b { display: inline-block; min-width: 17px; padding: 0 5px; border-radius: 9px; background: var(--accent-ground); color: var(--accent); font-size: 11px; font-weight: 600; }
  .work { flex: 1; min-height: 0; display: flex; flex-direction: column; }
  /* A shadow at an edge says that the list goes on there. */
  .list {
    min-height: 110px;
    background:
      linear-gradient(var(--ground) 40%, transparent) top / 100% 26px local no-repeat,
      linear-gradient(transparent, var(--ground) 60%) bottom / 100% 26px local no-repeat,
      linear-gradient(rgb(87 199 180 / .28), transparent) top / 100% 12px scroll no-repeat,
      linear-gradient(transparent, rgb(87 199 180 / .28)) bottom / 100% 12px scroll no-repeat;
  }
  .list h3, .list .fold { margin: 0; padding: 7px 14px 3px; font-size: 11px; font-weight: 600; letter-spacing: .04em; color: var(--soft); display: flex; gap: 6px; width: 100%; text-align: left; }
  .list h3 span, .list .fold span { font-weight: 400; }
  .list .fold::before { content: "▸"; }
  .list .fold[aria-expanded="true"]::before { content: "▾"; }
  .list .row {
    display: grid; grid-template-columns: 30px minmax(0, 1fr) auto; column-gap: 6px; width: 100%; text-align: left;
    border-radius: 0; padding: 4px 12px 4px 9px; border: 0; border-left: 3px solid transparent; border-bottom: 1px solid var(--raised);
  }
  .list .row[aria-current="true"] { border-left-color: var(--accent); }
  .moved { grid-column: 2 / -1; font-size: 11.5px; color: var(--accent); }
  .list .row:focus-visible { outline-offset: -2px; }
  .no { font-weight: 650; position: relative; }
  .mark { position: absolute; margin: 6px 0 0 4px; width: 6px; height: 6px; border-radius: 50%; background: var(--accent); }
  .mark.late { background: var(--warn); }
  .there { box-shadow: 0 0 0 1.5px var(--soft); border-radius: 4px; padding: 0 3px; margin: 0 -3px; }
  .stand { display: flex; align-items: center; gap: 10px; min-height: 20px; margin-top: 5px; }
  .stand .save { flex: none; margin: 0; }
  .present { flex: 0 1 auto; min-width: 0; margin-left: auto; display: flex; align-items: center; gap: 6px; padding: 0 4px; font-size: 12px; color: var(--soft); }
  .present:hover { color: var(--ink); }
  .present i { flex: none; width: 7px; height: 7px; border-radius: 50%; border: 1.5px solid var(--accent); }
  .present span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .place h3 .too { font-weight: 400; font-style: normal; color: var(--accent); font-size: 12px; }
  .here-head { margin: 0 0 4px; font-size: 12.5px; }
  .here-list { margin: 0 0 6px; padding: 0; list-style: none; max-height: 96px; overflow-y: auto; font-size: 12px; color: var(--soft); scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .here-list b { color: var(--ink); margin-right: 4px; }
  [data-form="here"] .line-in input { min-width: 0; flex: 1; }
  .why { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .state { font-size: 11.5px; color: var(--soft); white-space: nowrap; }
  .state.answer, .state.metastatic { color: var(--accent); font-weight: 600; }
  .state.open { color: var(--ink); }
  .state.deferred { color: var(--warn); }
  .sizes { grid-column: 2 / -1; display: grid; grid-template-columns: 1fr 1fr; gap: 8px; font-size: 11.5px; color: var(--soft); }
  .sizes b { font-weight: 600; color: var(--soft); }
  .beside .x, b.x { color: var(--x); }
  .beside .y, b.y { color: var(--y); }

  .strip { flex: none; display: flex; align-items: center; gap: 8px; height: 38px; padding: 0 14px; border-top: 1px solid var(--line); font-size: 12px; color: var(--accent); }
  .notice { flex: 1; min-width: 0; margin: 0; overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; line-height: 16px; }
  .notice.warn { color: var(--warn); }
  .order { padding: 1px 8px; border-color: var(--line); font-size: 11.5px; white-space: nowrap; }
  .desk { flex: none; height: min(58%, 470px); display: flex; flex-direction: column; border-top: 1px solid var(--line); }
  .place { flex: 1; min-height: 0; overflow-y: auto; padding: 8px 14px; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .place h3 { margin: 0 0 4px; font-size: 14px; }
  .place h3 small { font-weight: 400; color: var(--soft); font-size: 12px; }
  .hint { margin: 0; color: var(--soft); }
  .reasons-why { margin: 0 0 4px; font-size: 12px; color: var(--soft); }
  .list .note { margin: 0; padding: 8px 14px; font-size: 11.5px; color: var(--soft); }
  .beside { width: 100%; border-collapse: collapse; font-size: 12px; table-layout: fixed; }
  .beside th, .beside td { text-align: left; padding: 1px 0; font-weight: 400; }
  .beside th[scope="row"] { width: 78px; color: var(--soft); }
  .beside thead th { font-weight: 650; }
  .beside thead td { width: 78px; }
  .beside td { padding-right: 4px; vertical-align: top; }
  .same { margin: 0 0 5px; font-size: 12.5px; color: var(--accent); }
  .now { margin: 2px 0 5px; padding: 4px 8px; border-left: 2px solid var(--accent); background: var(--raised); font-size: 12.5px; }
  .now b { font-weight: 600; }
  q { color: var(--ink); overflow-wrap: anywhere; }
  time { color: var(--soft); font-size: 11.5px; white-space: nowrap; }
  .overtaken { margin: 2px 0 6px; padding: 6px 9px; border-radius: 5px; background: var(--warn-ground); color: var(--warn); font-size: 12.5px; }
  .overtaken ul, .overtaken p { margin: 3px 0 0; padding: 0; list-style: none; }
  .overtaken time { color: var(--warn); }
  .history { margin-top: 5px; font-size: 12px; color: var(--soft); }
  .history ol { margin: 4px 0 0; padding-left: 18px; }
  summary { cursor: pointer; }
  .suggest { margin: 5px 0; }
  .suggest button { width: 100%; padding: 5px 9px; text-align: left; border: 1px dashed var(--accent); color: var(--accent); font-size: 12.5px; }
  .evidence, .record { margin: 5px 0 0; padding: 0; list-style: none; font-size: 12px; }
  .evidence li { padding: 2px 0 2px 14px; position: relative; }
  .evidence li::before { content: "·"; position: absolute; left: 4px; color: var(--soft); }
  .evidence li[data-used="true"]::before { content: "✓"; left: 0; color: var(--accent); }
  .place .checks { margin: 5px 0 0; max-height: none; }
  .flag { color: var(--warn); }

  .do { flex: none; padding: 1px 14px 10px; }
  .verb-group { display: grid; grid-template-columns: 68px minmax(0, 1fr); align-items: start; padding: 4px 0 0; }
  .verb-group h4 { margin: 7px 0 0; font-size: 11px; font-weight: 600; color: var(--soft); letter-spacing: .02em; }
  .verbs { display: grid; gap: 4px; }
  .do > .verbs { padding-top: 5px; }
  .verbs.four { grid-template-columns: repeat(4, 1fr); }
  .verbs.three { grid-template-columns: repeat(3, 1fr); }
  .verbs.two { grid-template-columns: repeat(2, 1fr); }
  .verbs span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
  .verbs small { display: block; margin-top: 2px; font-size: 10.5px; color: var(--soft); }
  .verbs button { display: flex; align-items: center; gap: 5px; min-width: 0; padding: 3px 6px; border-color: var(--line); color: var(--ink); font-size: 11.5px; line-height: 1.1; text-align: left; min-height: 28px; }
  .verbs button:hover:enabled { background: var(--hover); border-color: var(--faint); }
  .verbs button[aria-pressed="true"] { background: var(--accent-ground); border-color: var(--accent); color: var(--accent); }
  .verbs .agree:enabled { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 650; }
  .verbs .agree:enabled kbd { color: var(--on-accent); border-color: var(--on-accent); }
  .verbs kbd { padding: 0; border: 0; min-width: 8px; color: var(--soft); }
  .verbs button[aria-pressed="true"] kbd { color: var(--accent); }
  .verbs .agree:enabled small { color: var(--on-accent); }
  .verbs button:disabled { opacity: .45; }
  .verb-words { margin: 6px 0 0; font-size: 12px; color: var(--soft); }

  .say { flex: none; max-height: 60%; overflow-y: auto; padding: 0 14px; }
  .say form { padding: 7px 0 3px; border-top: 1px solid var(--line); }
  .say label, .signing label { display: block; font-size: 12px; color: var(--soft); margin: 0 0 3px; }
  .say label b { color: var(--ink); font-weight: 600; }
  .line-in { display: flex; gap: 5px; }
  input[type="text"], input[type="password"] {
    flex: 1; width: 100%; min-width: 0; padding: 5px 8px; font: inherit; color: var(--ink); background: var(--raised);
    border: 1px solid var(--faint); border-radius: 5px;
  }
  .send { padding: 4px 11px; background: var(--accent); color: var(--on-accent); font-weight: 650; white-space: nowrap; }
  .send kbd { color: var(--on-accent); border-color: var(--on-accent); }
  .send.plain { background: none; color: var(--ink); border-color: var(--faint); }
  .phrases { display: flex; flex-wrap: wrap; gap: 4px; margin-top: 5px; }
  .phrases button { flex: none; padding: 1px 7px; border-color: var(--line); border-radius: 9px; color: var(--soft); font-size: 11.5px; }
  .phrases button:hover { color: var(--ink); border-color: var(--faint); }
  .picker { margin: 0 0 6px; padding: 0; border: 0; }
  .picker legend { padding: 0; font-size: 12px; color: var(--soft); }
  .link { color: var(--accent); text-decoration: underline; text-underline-offset: 2px; }
  .say .pick { display: flex; gap: 6px; align-items: flex-start; margin: 3px 0; color: var(--ink); }
  .pick input { accent-color: var(--accent); margin: 2px 0 0; }
  .pick b { font-weight: 600; }

  .summary { flex: 1; min-height: 0; overflow-y: auto; padding: 10px 14px; scrollbar-width: thin; scrollbar-color: var(--line) transparent; }
  .summary h3, .do h3 { margin: 12px 0 4px; font-size: 11px; letter-spacing: .04em; color: var(--soft); font-weight: 600; }
  .summary > h3:first-child { margin-top: 0; }
  .summary h3 span { font-weight: 400; }
  .record li { display: grid; grid-template-columns: 30px 1fr; padding: 3px 0; border-bottom: 1px solid var(--raised); color: var(--soft); }
  .record li b { color: var(--ink); font-weight: 600; }
  .record li.wide { grid-template-columns: 1fr; }
  .signed-labels { width: 100%; border-collapse: collapse; font-size: 12px; color: var(--soft); }
  .signed-labels th { text-align: left; font-weight: 400; font-size: 11px; padding: 0 6px 2px 0; }
  .signed-labels td { padding: 1.5px 6px 1.5px 0; border-top: 1px solid var(--raised); vertical-align: top; }
  .signed-labels td:first-child { width: 34px; }
  .signed-labels td:nth-child(2) { width: 84px; white-space: nowrap; }
  .signed-labels td:nth-child(3) { color: var(--ink); }
  .signed-labels .metastatic { color: var(--accent); font-weight: 600; }
  .signed-labels button { font-weight: 650; color: var(--accent); }
  .published .send { display: inline-block; border-radius: 5px; text-decoration: none; }
  .record button { text-align: left; font-weight: 650; color: var(--accent); }
  .summary details { margin-top: 6px; font-size: 12px; color: var(--soft); }
  .summary .checks { max-height: none; }
  .published { padding: 9px 11px; border-left: 2px solid var(--accent); background: var(--raised); }
  .published p { margin: 4px 0 0; }
  a { color: var(--accent); }
  [data-tab="sign"] .desk { height: auto; max-height: 62%; overflow-y: auto; }
  [data-tab="sign"] .place, [data-tab="sign"] .say { display: none; }
  .hash { color: var(--soft); }
  .role { display: block; }
  .role::first-letter { text-transform: uppercase; }
  .days { color: var(--soft); white-space: nowrap; }
  .signers { margin: 4px 0 8px; max-height: none; }
  .signers li[data-ok="true"] { color: var(--ink); }
  .signing { padding: 0 14px 10px; }
  .signing .wrong { min-height: 0; margin: 4px 0 0; }
  [data-tab="sign"] .do { padding-bottom: 6px; }
  [data-tab="sign"] .do h3 { margin-top: 8px; }
  .signing details { margin-top: 8px; font-size: 12.5px; color: var(--soft); }
  .signing form { margin: 0 0 4px; }
  .signing details label { margin-top: 6px; }
  .signing .meaning { margin: 0 0 8px; }
`);
