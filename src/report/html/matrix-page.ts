/** A run of a matrix as one file that needs no other: kernels by patches, each cell with a link to its own report. */
import type { CellReport, MatrixResult } from '../../index';
import { WORDS, countsOf } from '../matrix';
import { Markup, html } from './markup';
import { STYLE } from './style';

/** Where the files of cells lie, seen from the page. */
export interface CellLinks {
  page(cell: CellReport): string | null;
  livepatch(cell: CellReport): string | null;
}

const MATRIX_STYLE = `
.matrix { width: auto; } .matrix th[scope=row] { position: sticky; left: 0; } .matrix td { min-width: 8rem; }
td.patchable, td.unchanged, td.refused, td.failed { border-left: 4px solid var(--line); }
td.patchable { border-left-color: var(--good); } td.refused, td.failed { border-left-color: var(--bad); }
.scroll { overflow-x: auto; }
.failed { color: var(--bad); } td.patchable, td.refused, td.failed, td.unchanged { color: var(--ink); }
`;

export function matrixPage(result: MatrixResult, title: string, version: string, links: CellLinks): string {
  const { kernels, patches, cells, verdict } = result;
  const at = new Map(cells.map((cell, i) => [`${cell.kernel} ${cell.patch}`, { cell, run: result.run.cells[i]! }]));
  return `<!doctype html>\n${
    html`<html lang="en">
<head><meta charset="utf-8"><title>klpflow matrix: ${title}, ${WORDS[verdict]}</title><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,"><style>${new Markup(STYLE + MATRIX_STYLE)}</style></head>
<body><a class="skip-link" href="#main">Skip to the table</a>
<header><h1>${title}: <span class="verdict ${verdict}">${WORDS[verdict]}</span></h1><p>${countsOf(result)}</p>
<nav aria-label="Sections"><a href="#cells">Table</a> <a href="#differences">What differs</a> <a href="#reasons">Reasons</a></nav></header>
<main id="main"><section aria-labelledby="cells"><h2 id="cells">Kernels by patches</h2><div class="scroll"><table class="matrix"><thead><tr><th scope="col">Kernel</th>${patches.map((patch) => html`<th scope="col">${patch}</th>`)}</tr></thead><tbody>
${kernels.map(
  (kernel) =>
    html`<tr><th scope="row">${kernel}</th>${patches.map((patch) => {
      const found = at.get(`${kernel} ${patch}`);
      return found === undefined
        ? html`<td class="dim">not for this kernel</td>`
        : cellOf(found.cell, found.run, links);
    })}</tr>\n`,
)}</tbody></table></div></section>
${differences(result)}${reasons(cells)}
</main><footer class="dim"><p>klpflow ${version}; ${result.run.seconds.toFixed(2)} s</p></footer></body></html>`.text
  }\n`;
}

function cellOf(
  cell: CellReport,
  { seconds, by }: { seconds: number | null; by: string | null },
  links: CellLinks,
): Markup {
  const { verdict, functions, reasons: why, unproven, livepatch, signedBy } = cell;
  const page = links.page(cell);
  const module = links.livepatch(cell);
  const codes = [...new Set(why.map(({ code }) => code))];
  return html`<td class="${verdict}" id="${idOf(cell)}">${page === null ? html`<span class="verdict ${verdict}">${WORDS[verdict]}</span>` : html`<a class="verdict ${verdict}" href="${page}">${WORDS[verdict]}</a>`}
${verdict === 'patchable' && html`<br>${functions.length} function${functions.length !== 1 && 's'}`}${codes.length > 0 && html`<br><a href="#why-${idOf(cell)}">${codes.slice(0, 3).join(', ')}</a>`}
${unproven !== null && html`<br>${unproven.length === 0 ? 'proven' : `unproven: ${unproven.join(', ')}`}`}${verdict === 'patchable' && livepatch === null && html`<br>no livepatch: neither symvers nor vmlinux is given`}
${module !== null && html`<br><a href="${module}">module</a>${signedBy !== null && html`, signed by ${signedBy}`}`}<br><span class="dim">${seconds === null ? 'was there' : `${seconds.toFixed(2)} s`}${by !== null && html`, ${by}`}</span></td>`;
}

function differences({ differences: found }: MatrixResult): Markup {
  return html`<section aria-labelledby="differences"><h2 id="differences">What differs between kernels for one patch</h2>${found.length === 0 && html`<p>Nothing: every patch came to the same everywhere.</p>`}
${found.map(
  ({ patch, groups }) =>
    html`<h3>${patch}</h3><table><thead><tr><th scope="col">Verdict</th><th scope="col">Kernels</th><th scope="col">Why, or which functions</th></tr></thead><tbody>${groups.map(({ verdict, kernels, why, reasons: said }) => html`<tr><td class="${verdict}">${WORDS[verdict]}</td><td>${kernels.map((kernel, i) => html`${i > 0 && ', '}<a href="#${idOf({ kernel, patch })}">${kernel}</a>`)}</td><td>${said.length === 0 ? html`<span class="name">${why.join(', ')}</span>` : said.map(({ code, message }) => html`<p><code>${code}</code> ${message}</p>`)}</td></tr>`)}</tbody></table>`,
)}</section>`;
}

function reasons(cells: readonly CellReport[]): Markup {
  const bad = cells.filter(({ reasons: why }) => why.length > 0);
  return html`<section aria-labelledby="reasons"><h2 id="reasons">Reasons</h2>${bad.length === 0 && html`<p>None.</p>`}
${bad.map((cell) => html`<h3 id="why-${idOf(cell)}"><a href="#${idOf(cell)}">${cell.kernel}, ${cell.patch}</a></h3><ul>${cell.reasons.map(({ code, message }) => html`<li><code>${code}</code> ${message}</li>`)}</ul>`)}</section>`;
}

/** Names of kernels and patches have no blanks. */
function idOf({ kernel, patch }: Pick<CellReport, 'kernel' | 'patch'>): string {
  return `${kernel}--${patch}`;
}
