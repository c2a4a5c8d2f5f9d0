/** The report of a comparison as one file that needs no other: what a reviewer is sent. */
import type { DiffResult, Report } from '../../index';
import { renderCounts, renderDataChange } from '../change';
import { ignoredClasses } from '../evidence';
import { patchSummary, tieWords } from '../hunks';
import { plural } from '../words';
import { functionRows, type FunctionRow } from './function-rows';
import { inclusion } from './inclusion';
import { Markup, html, jsonElement } from './markup';
import { SCRIPT } from './script';
import { STYLE } from './style';
import { largest } from '../../lists';

const VERDICTS = { patchable: 'PATCHABLE', refused: 'REFUSED', unchanged: 'UNCHANGED' } as const;

/** `heading` in place of the names of the objects. Of a result that is kept nothing is known of its run: then there is no timeline. */
export function reportPage(report: Report, heading?: string): string {
  const { result, inputs, version } = report;
  const rows = functionRows(report);
  const name = heading ?? result.objects.map((object) => object.name).join(', ');
  const title = `klpflow: ${VERDICTS[result.verdict]}, ${name}`;
  const brought = inclusion(report);
  const isTimed = result.run.stages.length > 0;
  return `<!doctype html>\n${
    html`<html lang="en">
<head><meta charset="utf-8"><title>${title}</title><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><style>${raw(STYLE)}</style></head>
<body><a class="skip-link" href="#main">Skip to the report</a>
<header><h1>${name}: <span class="verdict ${result.verdict}">${VERDICTS[result.verdict]}</span></h1>
<p>${counts(result)}</p>
<nav aria-label="Sections">${[
      ['reasons', 'Diagnostics'],
      ['evidence', 'Evidence'],
      ['all', 'Functions'],
      ['data', 'Data'],
      ['changes', 'Code'],
      ...(result.patch === undefined ? [] : [['patch', 'Patch']]),
      ...(brought === undefined ? [] : [['inclusion', 'Inclusion']]),
      ['looked-up', 'klp symbols'],
      ...(isTimed ? [['timeline', 'Timeline']] : []),
      ...(inputs.length > 0 ? [['inputs', 'Inputs']] : []),
    ].map(([id, text]) => html`<a href="#${id}">${text}</a> `)}</nav></header>
<main id="main">${diagnostics(result)}${evidence(result)}${functionTable(rows)}${data(result)}${changes(rows)}${result.patch !== undefined && byPatch(result.patch)}${brought}${lookedUp(result)}${isTimed && timeline(result)}${inputs.length > 0 && inputTable(inputs)}
</main><footer class="dim"><p>klpflow ${version}</p></footer>
<noscript><p>Without scripts the code of functions is not shown.</p></noscript>
${jsonElement('codes', Object.fromEntries(rows.flatMap(({ id, code }) => (code === null ? [] : [[id, code]]))))}
<script>${raw(SCRIPT)}</script></body></html>`.text
  }\n`;
}

function inputTable(inputs: Report['inputs']): Markup {
  return html`<section aria-labelledby="inputs"><h2 id="inputs">Inputs</h2><table><thead><tr><th scope="col">What</th><th scope="col">File</th><th scope="col" class="number">Bytes</th><th scope="col">sha256</th></tr></thead><tbody>
${inputs.map(({ role, path, bytes, sha256 }) => html`<tr><td>${role}</td><td class="name">${path}</td><td class="number">${bytes}</td><td class="name">${sha256}</td></tr>`)}</tbody></table></section>`;
}

function raw(text: string): Markup {
  return new Markup(text);
}

function counts({ objects }: DiffResult): string {
  const sum = (count: (object: DiffResult['objects'][number]) => number): number =>
    objects.reduce((all, object) => all + count(object), 0);
  return [
    `functions ${sum(({ functions }) => functions.changed.length)} changed, ${sum(({ functions }) => functions.new.length)} new, ${sum(({ functions }) => functions.removed.length)} removed, ${sum(({ functions }) => functions.carried.length)} carried along`,
    `data ${sum(({ data: of }) => of.changed.length)} changed, ${sum(({ data: of }) => of.new.length)} new`,
    `${sum(({ functions, data: of }) => functions.ignored.length + of.ignored.length)} ignored`,
  ].join('; ');
}

/** Diagnostics of one code, with its remedy once. */
function diagnostics({ diagnostics: all }: DiffResult): Markup {
  const order = ['error', 'refusal', 'warning', 'note'];
  const codes = [...new Set(all.map(({ code }) => code))];
  const groups = codes.map((code) => all.filter((one) => one.code === code));
  groups.sort((a, b) => order.indexOf(a[0]!.severity) - order.indexOf(b[0]!.severity));
  return html`<section aria-labelledby="reasons"><h2 id="reasons">Diagnostics</h2>${groups.length === 0 && html`<p>None.</p>`}
${groups.map(
  ([
    first,
    ...others
  ]) => html`<div class="diagnostic ${first!.severity}" id="d-${first!.code}"><h3>${first!.severity} <code>${first!.code}</code></h3>
<ul>${[first!, ...others].map(({ message, where }) => html`<li>${message}${where.symbol !== undefined && html` <span class="dim">at ${where.object} ${where.section} <code>${where.symbol}${where.offset !== undefined && `+0x${where.offset.toString(16)}`}</code></span>`}</li>`)}</ul><p>${first!.hint}</p></div>`,
)}</section>`;
}

function evidence({ evidence: found, objects, output }: DiffResult): Markup {
  const ignored = ignoredClasses(objects);
  const proofs =
    found === null
      ? []
      : (['code', 'positions', 'versions', 'layouts'] as const).flatMap((name) => {
          const proof = found[name];
          return proof === null
            ? []
            : [
                html`<tr><th scope="row">${name}</th><td>${proof.proven ? 'proven' : 'unproven'}</td><td>${proof.by}</td></tr>`,
              ];
        });
  return html`<section aria-labelledby="evidence"><h2 id="evidence">Evidence</h2>
${found === null ? html`<p>No livepatch was written: nothing was looked at of the running kernel but what diagnostics say.</p>` : html`<table><tbody><tr><th scope="row">kernel</th><td>${found.release?.name ?? 'unproven'}</td><td>${found.release === null ? 'no file says for which release it is' : `as ${found.release.from} says`}</td></tr>${proofs}</tbody></table>`}
${output !== null && html`<p>${output.path}: format ${output.format}, ${plural(output.bytes, 'byte')}, sha256 <code>${output.sha256}</code></p>`}
${ignored !== '' && html`<p>Ignored: ${ignored}. Each is in the table of functions, with its difference below.</p>`}</section>`;
}

function functionTable(rows: readonly FunctionRow[]): Markup {
  const head = (text: string, number = false): Markup =>
    html`<th scope="col"${number && html` class="number"`}><button type="button">${text}</button></th>`;
  return html`<section aria-labelledby="all"><h2 id="all">Functions</h2>
<p><label for="search">Find</label> <input type="search" id="search" autocomplete="off" aria-describedby="shown"> <span id="shown" class="dim" role="status">${rows.length} of ${rows.length}</span> <span class="dim hint">(press /)</span></p>
<table id="functions"><thead><tr>${head('Function')}${head('State')}${head('Unit')}${head('Section')}${head('Bytes', true)}${head('Instructions', true)}<th scope="col">What</th></tr></thead><tbody>
${rows.map(
  ({ id, name, state, file, section, bytes, more, instructions, what, code }) =>
    html`<tr><td class="name">${code === null ? name : html`<a href="#${encodeURIComponent(id)}">${name}</a>`}</td><td>${state}</td><td>${file}</td><td class="name">${section}</td><td class="number" data-value="${more}">${bytes}</td><td class="number" data-value="${instructions?.total ?? 0}">${instructions?.text}</td><td>${what}</td></tr>\n`,
)}</tbody></table></section>`;
}

function data({ objects }: DiffResult): Markup {
  const rows = objects.flatMap(({ data: of }) => [
    ...of.changed.map((entry) => ({ ...entry, state: 'changed', text: renderDataChange(entry).join('\n') })),
    ...of.new.map((entry) => ({ ...entry, state: 'new', text: '' })),
    ...of.removed.map((entry) => ({ ...entry, state: 'removed', text: '' })),
  ]);
  return html`<section aria-labelledby="data"><h2 id="data">Data</h2>${
    rows.length === 0
      ? html`<p>None.</p>`
      : html`<table><thead><tr><th scope="col">Variable</th><th scope="col">State</th><th scope="col">Unit</th><th scope="col">Section</th><th scope="col">Values</th></tr></thead><tbody>
${rows.map(({ name, state, file, section, text }) => html`<tr><td class="name">${name}</td><td>${state}</td><td>${file}</td><td class="name">${section}</td><td><code>${text}</code></td></tr>`)}</tbody></table>`
  }</section>`;
}

/** Each function that has code to show, closed and empty: the script fills it in when it is opened. What is in 5,000 of them would take half a second to paint. */
function changes(rows: readonly FunctionRow[]): Markup {
  return html`<section aria-labelledby="changes"><h2 id="changes">Code</h2>
${rows.map(
  ({ id, name, state, entry, hunks, code }) =>
    code !== null &&
    html`<details id="${id}" data-code="${id}" data-name="${name}"${hunks !== null && html` data-hunks="${hunks}"`}><summary><code>${name}</code> <span class="dim">${state}${entry !== null && html`; ${renderCounts(entry)}`}</span></summary><div></div></details>\n`,
)}</section>`;
}

/** Every change with the hunks that it comes of. */
function byPatch(patch: NonNullable<DiffResult['patch']>): Markup {
  return html`<section aria-labelledby="patch"><h2 id="patch">Patch</h2><p>${patchSummary(patch)}</p><table><thead><tr><th scope="col">Symbol</th><th scope="col">State</th><th scope="col">Hunks</th></tr></thead><tbody>
${patch.symbols.map(({ name, kind, state, hunks }) => html`<tr><td class="name">${name}</td><td>${state}${kind === 'data' && ' data'}</td><td class="${hunks.length === 0 ? 'refused' : 'name'}">${tieWords(hunks)}</td></tr>\n`)}</tbody></table></section>`;
}

function lookedUp({ objects }: DiffResult): Markup {
  const all = objects.flatMap(({ klpSymbols }) => klpSymbols);
  return html`<section aria-labelledby="looked-up"><h2 id="looked-up">klp symbols</h2>${
    all.length === 0
      ? html`<p>None: no livepatch was written, or it looks nothing up.</p>`
      : html`<table><thead><tr><th scope="col">Object</th><th scope="col">Symbol</th><th scope="col" class="number">Position</th><th scope="col">Proof</th></tr></thead><tbody>
${all.map(({ object, name, sympos, evidence: by }) => html`<tr><td>${object}</td><td class="name">${name}</td><td class="number">${sympos}</td><td>${by}</td></tr>`)}</tbody></table>`
  }</section>`;
}

function timeline({ run }: DiffResult): Markup {
  const longest = largest([0.001, ...run.stages.map(({ seconds }) => seconds)]);
  return html`<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2><p>${run.seconds.toFixed(2)} s, ${plural(run.workers, 'worker')}, ${Math.round(run.peakAnonBytes / 1e6)} MB. Stages overlap.</p><table><thead><tr><th scope="col">Stage</th><th scope="col" class="number">Seconds</th><th scope="col" class="number">Processor</th><th scope="col" class="number">Reused</th><th scope="col">Share</th></tr></thead><tbody>
${run.stages.map(({ name, seconds, cpuSeconds, reused }) => html`<tr><td>${name}</td><td class="number">${seconds.toFixed(2)}</td><td class="number">${cpuSeconds.toFixed(2)}</td><td class="number">${reused}</td><td><span class="bar" style="width:${Math.round((seconds / longest) * 100)}%"></span></td></tr>`)}</tbody></table></section>`;
}
