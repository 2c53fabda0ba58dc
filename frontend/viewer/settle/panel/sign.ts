// The last phase: everything that is signed, the record's hash, who signs; and what was published.

import { text } from "../../html";
import type { SettleSession } from "../consensus";
import type { ConsensusDetail, Discrepancy, Evidence, Label, Role, Signer } from "../contract";
import type { ShownNode } from "../projection";
import { CONSENSUS, resolutionWords, stamp } from "../words";
import { labelWords, NOT_BENIGN } from "./nodes";

export function summaryHtml(session: SettleSession): string {
  const { detail } = session;
  if (!detail) return "";
  const decided = detail.discrepancies.filter((one) => !one.by_rule);
  return `${publishedHtml(detail)}${missingHtml(detail)}${signersHtml(session)}
    <h3>What is signed</h3>${countsHtml(detail, session.nodes)}
    <h3>Labels <span>${session.nodes.length}</span></h3>${labelsHtml(session)}
    <p class="fine">${NOT_BENIGN}</p>
    <h3>Decisions <span>${decided.length}</span></h3>${decisionsHtml(decided, detail.role, session.nodes)}
    ${byRuleHtml(detail)}
    ${versionsHtml(detail)}`;
}

function countsHtml({ counts, discrepancies }: ConsensusDetail, nodes: ShownNode[]): string {
  const ignored = discrepancies.filter((one) => one.by_rule && one.resolution === "ignore").length;
  const labelled = (value: string) => nodes.filter(({ label }) => label?.value === value).length;
  const alone = nodes.filter(({ label }) => label?.rests_on_necrosis_alone).length;
  const people = counts.resolved + counts.indeterminate;
  const untold = counts.indeterminate ? ` (${counts.indeterminate} cannot be told)` : "";
  const lines = [
    `<b>${nodes.length}</b> agreed ${nodes.length === 1 ? "node" : "nodes"}`,
    `<b>${counts.identical}</b> the same in both, <b>${counts.by_rule}</b> settled by rule${ignored ? ` (${ignored} ignored)` : ""}, <b>${people}</b> by people${untold}`,
    `<b>${labelled("metastatic")}</b> metastatic, <b>${labelled("non_metastatic")}</b> non-metastatic, <b>${labelled("indeterminate")}</b> label indeterminate, <b>${labelled("not_assessable")}</b> not assessable`,
    ...(alone
      ? [
          `<span class="flag" data-testid="flag-necrosis"><b>${alone}</b> metastatic on central necrosis of this CT alone</span>`,
        ]
      : []),
  ];
  return `<ul class="facts" data-testid="sign-counts">${lines.map((line) => `<li>${line}</li>`).join("")}</ul>`;
}

/** Who had the last word: both readers by agreeing, the adjudicator alone. */
function decidersOf({ steps }: Discrepancy, role: Role): string {
  const last = steps.at(-1);
  if (last?.action === "resolve" || last?.by === "adjudicator") {
    return role === "adjudicator" && last.by === "you" ? "you" : "adjudicator";
  }
  return steps.length ? "both readers" : "carried over";
}

/** Clusters are numbered before it is known which of them become nodes. */
function becameWords(cluster: number, nodes: readonly ShownNode[]): string {
  const own = nodes.filter((node) => node.cluster === cluster).map(({ number }) => number);
  if (!own.length) return "no node";
  return `${own.length === 1 ? "node" : "nodes"} ${own.join(", ")}`;
}

function decisionsHtml(decided: Discrepancy[], role: Role, nodes: ShownNode[]): string {
  if (!decided.length) return '<p class="fine">Nothing had to be decided by hand.</p>';
  const lines = decided.map((one) => {
    const open = one.state !== "resolved" && one.state !== "indeterminate";
    const what = open ? one.state : resolutionWords(one.resolution || "indeterminate");
    const who = open ? "" : ` · ${decidersOf(one, role)}`;
    const became = open ? "" : ` → ${becameWords(one.cluster, nodes)}`;
    return `<li class="wide" data-testid="signed-decision"><button data-act="see" data-value="${text(one.id)}">Cluster ${one.cluster}${became}</button>
      <span><b>${text(what)}</b>${who}${one.rationale ? ` · <q>${text(one.rationale)}</q>` : ""}</span></li>`;
  });
  return `<ul class="record">${lines.join("")}</ul>`;
}

function byRuleHtml({ discrepancies }: ConsensusDetail): string {
  const ruled = discrepancies.filter((one) => one.by_rule);
  if (!ruled.length) return "";
  const lines = ruled.map(
    (one) =>
      `<li><button data-act="see" data-value="${text(one.id)}">${one.cluster}</button><span><b>${text(resolutionWords(one.resolution ?? ""))}</b> · ${text(one.rationale)}</span></li>`,
  );
  return `<details data-testid="by-rule"><summary>${ruled.length} by rule</summary><ul class="record">${lines.join("")}</ul></details>`;
}

/** Every label in a line: all of them are seen before anybody signs. */
function labelsHtml(session: SettleSession): string {
  const lines = session.nodes.map((node) => {
    const { label, measures } = node;
    const size = measures ? `${text(measures.lad_text)} × ${text(measures.sad_text)}` : "–";
    const place = [node.side, node.level].filter(Boolean).map(text).join(" ");
    const reason = label?.reason ? `: ${text(label.reason)}` : "";
    const said = [label?.rationale ?? "", ...basisOf(session, label).map((item) => item.text)];
    const more = said.filter(Boolean).join(" ");
    const flag = label?.rests_on_necrosis_alone
      ? ' <span class="flag" title="Central necrosis of this CT alone">this CT alone</span>'
      : "";
    return `<tr data-testid="signed-label" data-number="${node.number}"><td><button data-act="seeNode" data-value="${node.number}">${node.number}</button></td>
      <td>${size}${place ? ` <small>${place}</small>` : ""}</td><td class="${label?.value ?? ""}">${text(labelWords(label))}${reason}</td>
      <td title="${text(more)}">${basisHtml(session, label)}${flag}</td></tr>`;
  });
  if (!lines.length) return '<p class="fine">No node was agreed on.</p>';
  return `<table class="signed-labels" data-testid="labels"><thead><tr><th scope="col">Node</th><th scope="col">Size, mm</th><th scope="col">Label</th><th scope="col">Basis</th></tr></thead><tbody>${lines.join("")}</tbody></table>
    ${basesHtml(session)}`;
}

const KINDS: Record<Evidence["kind"], string> = {
  PET: "PET",
  HIST: "histology",
  CHEMO: "follow-up",
  NECR: "central necrosis",
};

function basisOf(session: SettleSession, label: Label | null): Evidence[] {
  return (label?.evidence ?? []).flatMap((id) => session.evidence(id) ?? []);
}

function basisHtml(session: SettleSession, label: Label | null): string {
  const kinds = basisOf(session, label).map(({ kind }) => KINDS[kind]);
  if (kinds.length) return [...new Set(kinds)].join(", ");
  return label?.value ? '<span class="quiet">no evidence</span>' : "–";
}

/** What labels rest on and what was said of them, in full below their table. */
function basesHtml(session: SettleSession): string {
  const lines = session.nodes.flatMap(({ number, label }) => {
    const texts = basisOf(session, label).map((item) => text(item.text));
    const said = label?.rationale ? [`<q>${text(label.rationale)}</q>`] : [];
    return texts.length + said.length
      ? [
          `<li data-testid="signed-basis"><b>${number}</b><span>${[...texts, ...said].join(" ")}</span></li>`,
        ]
      : [];
  });
  return lines.length ? `<ul class="record">${lines.join("")}</ul>` : "";
}

/** What keeps it from being signed; each names its node where it has one. */
function missingHtml({ signing, state }: ConsensusDetail): string {
  if (!signing || state === "published" || state === "superseded") return "";
  const missing = signing.missing.map(
    (sentence) => `<li data-ok="false" data-testid="missing">${nodeLink(sentence)}</li>`,
  );
  return missing.length
    ? `<ul class="checks" data-testid="missing-list">${missing.join("")}</ul>`
    : "";
}

function nodeLink(sentence: string): string {
  const number = /\bnode (\d+)/i.exec(sentence)?.[1];
  if (!number) return `<span>${text(sentence)}</span>`;
  return `<button data-act="toNode" data-value="${number}">${text(sentence)}</button>`;
}

function publishedHtml(detail: ConsensusDetail): string {
  const { state, signing, versions, version, report } = detail;
  if (state !== "published" && state !== "superseded") return "";
  const own = versions.find((one) => one.version === version);
  const when = own?.published_at ? `, ${stamp(own.published_at)}` : "";
  const link = report
    ? `<p><a class="send" href="${text(report)}" data-testid="report-link">Open the report</a></p>`
    : '<p class="fine">There is no report of it that you can open yet.</p>';
  return `<div class="published" data-testid="published" data-version="${version}"><b>Version ${version} is ${state}</b>${when}${link}
    <h3>Record</h3><div class="hash" data-testid="record-hash">${text(signing?.record_hash)}</div></div>`;
}

function versionsHtml({ versions, version }: ConsensusDetail): string {
  const others = versions.filter((one) => one.version !== version);
  if (!others.length) return "";
  const lines = others.map(
    (one) =>
      `<li>Version ${one.version}: ${CONSENSUS[one.state]}${one.reason ? ` · <q>${text(one.reason)}</q>` : ""}</li>`,
  );
  return `<h3>Other versions</h3><ul class="facts">${lines.join("")}</ul>`;
}

function signersHtml({ detail }: SettleSession): string {
  const required = detail?.signing?.required ?? [];
  if (!required.length) return "";
  const ordered = [...required].sort((a, b) => whenOf(a) - whenOf(b));
  const lines = ordered.map(({ role, name, mine, signed_at: at }) => {
    const who = name ? text(name) : mine ? "you" : "not yet named";
    return `<li data-testid="signer" data-signed="${Boolean(at)}" data-ok="${Boolean(at)}"><span class="role">${text(role)}: <b>${who}</b>${at ? `, ${stamp(at)}` : mine ? ", your signature is missing" : ", not signed yet"}</span></li>`;
  });
  return `<h3>Signatures</h3><ul class="checks signers">${lines.join("")}</ul>`;
}

/** In the order of time; who has not signed yet comes last. */
function whenOf({ signed_at: at }: Signer): number {
  return at ? Date.parse(at) : Number.MAX_VALUE;
}

/** What is typed here survives every piece of news: `data-keep`. */
export function signFormsHtml({ detail }: SettleSession): string {
  const { signing, state, role } = detail ?? {};
  if (!detail || !signing || role === "observer" || (state !== "ready" && state !== "signing")) {
    return "";
  }
  const own = signing.required.find(({ mine }) => mine);
  const others = signing.required.some(({ mine, signed_at }) => !mine && !signed_at);
  const mine =
    own && !own.signed_at
      ? `<form data-form="sign" data-keep data-testid="sign-form">
          <p class="meaning">By signing, ${text(window.concord?.name ?? "I")} declares: <b>this is our consensus.</b></p>
          <label for="password">Your password</label>
          <div class="line-in"><input id="password" name="password" type="password" autocomplete="current-password" required data-testid="sign-password">
          <button class="send" type="submit" data-testid="sign-send">Sign</button></div>
          <p class="wrong" role="alert" data-testid="sign-error"></p></form>`
      : "";
  const theirs = others
    ? `<details data-testid="cosign"><summary>Another signer is here: sign at this screen</summary>
        <form data-form="cosign" data-keep data-testid="cosign-form"><p class="fine">You stay signed in.</p>
          <label for="username">Their user name</label><input id="username" name="username" type="text" autocomplete="off" autocapitalize="none" spellcheck="false" required data-testid="cosign-user">
          <label for="their-password">Their password</label>
          <div class="line-in"><input id="their-password" name="password" type="password" autocomplete="off" required data-testid="cosign-password">
          <button class="send" type="submit" data-testid="cosign-send">Co-sign</button></div>
          <p class="wrong" role="alert" data-testid="cosign-error"></p></form></details>`
    : "";
  const object =
    state === "signing" && own
      ? `<details data-testid="object"><summary>Object, and open the labels again</summary>
          <form data-form="object" data-keep><p class="fine">The signatures given so far stay on record and are void.</p>
          <label for="objection">Why</label><div class="line-in"><input id="objection" name="reason" type="text" maxlength="1000" autocomplete="off" required data-testid="object-reason">
          <button class="send plain" type="submit" data-testid="object-send">Object</button></div>
          <p class="wrong" role="alert"></p></form></details>`
      : "";
  return mine + theirs + object;
}

export function hashHtml({ detail }: SettleSession): string {
  const hash = detail?.signing?.record_hash;
  if (!hash || detail?.state === "published" || detail?.state === "superseded") return "";
  return `<h3>Record</h3><div class="hash" data-testid="record-hash">${text(hash)}</div>`;
}
