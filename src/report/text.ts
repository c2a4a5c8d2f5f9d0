import type { Diagnostic } from '../diagnostics';
import type { DiffResult, LinkResult, RunReport } from '../index';
import { append } from '../lists';
import { renderChange, renderCounts, renderDataChange } from './change';
import { renderEvidence } from './evidence';
import { hunksOf, patchSummary } from './hunks';
import { nextStep, type Typed } from './next';
import { plural } from './words';

const VERDICTS = { patchable: 'PATCHABLE', refused: 'REFUSED', unchanged: 'UNCHANGED' } as const;

/** Lists longer than this end in a count; `--json` has them all. */
const LONGEST = 40;
/** What needs no reading gets a taste only. */
const FEW = 5;

/** What is told of two objects that are not two builds of one kernel. */
const OTHER_KERNEL: ReadonlySet<Diagnostic['code']> = new Set(['not-one-kernel']);
const WHY_OTHER: ReadonlySet<Diagnostic['code']> = new Set([...OTHER_KERNEL, 'other-compiler']);

/** Thousands of functions differ then, and none of it helps; `--json` has it all. */
function renderOtherKernel({ verdict, diagnostics, run }: DiffResult): string {
  const reasons = diagnostics.filter(({ code }) => WHY_OTHER.has(code));
  return [`${VERDICTS[verdict]}  ${reasons[0]!.where.object}`, ...renderDiagnostics(reasons), '', renderRun(run)].join(
    '\n',
  );
}

/** The first screen of a diff: verdict, counts, what changed, why not, what to do next. Paths are as typed. */
export function renderDiff(result: DiffResult, typed: Typed): string {
  const lines: string[] = [];
  const refusals = result.diagnostics.filter(({ severity }) => severity === 'refusal');
  const several = result.objects.length !== 1;
  if (refusals.some(({ code }) => OTHER_KERNEL.has(code))) return renderOtherKernel(result);
  if (several) {
    const sum = (count: (object: DiffResult['objects'][number]) => number): number =>
      result.objects.reduce((all, object) => all + count(object), 0);
    const differing = result.objects.filter(hasFindings).length;
    lines.push(
      `${VERDICTS[result.verdict]}  ${differing === 1 ? '1 object differs' : `${differing} objects differ`}; functions ${sum(({ functions }) => functions.changed.length)} changed, ${sum(({ functions }) => functions.new.length)} new, ${sum(({ functions }) => functions.removed.length)} removed; data ${sum(({ data }) => data.changed.length)} changed, ${sum(({ data }) => data.new.length)} new`,
    );
    if (refusals.length > 0) append(lines, renderReasons(refusals));
  }
  for (const object of result.objects) {
    const { functions, data } = object;
    if (several && !hasFindings(object)) continue;
    if (several) lines.push('');
    const counts = [
      `${functions.changed.length} changed`,
      `${functions.new.length} new`,
      `${functions.removed.length} removed`,
      ...(functions.carried.length > 0 ? [`${functions.carried.length} carried`] : []),
    ];
    const ignored = [...functions.ignored, ...data.ignored];
    lines.push(
      `${several ? '' : `${VERDICTS[result.verdict]}  `}${object.name}: functions ${counts.join(', ')}; data ${data.changed.length} changed, ${data.new.length} new${ignored.length === 0 ? '' : `; ${ignored.length} ignored`}`,
    );
    // Why not comes before what: it is what a person has to act on.
    if (refusals.length > 0 && !several) append(lines, renderReasons(refusals));
    const byPatch = (state: string, { name, file }: { name: string; file: string | null }): string[] => {
      const words = hunksOf(result.patch, object.name, state, name, file);
      return words === undefined ? [] : [`patch: ${words}`];
    };
    section(lines, 'changed functions', functions.changed, (entry) => {
      const where = entry.file === null ? entry.section : `${entry.file} ${entry.section}`;
      return [
        `${entry.name}  (${entry.class}; ${where}; ${renderCounts(entry)})`,
        ...renderChange(entry),
        ...byPatch('changed', entry),
      ].join('\n      ');
    });
    section(lines, 'new functions', functions.new, (entry) =>
      [`${entry.name}  (${entry.file ?? entry.section})`, ...byPatch('new', entry)].join('\n      '),
    );
    section(lines, 'carried along', functions.carried, (entry) => `${entry.name}  via ${entry.via.join(' < ')}`);
    section(lines, 'removed functions', functions.removed, (entry) => entry.name);
    section(lines, 'changed data', data.changed, (entry) => {
      const [only = '', ...more] = [...renderDataChange(entry), ...byPatch('changed', entry)];
      const head = `${entry.name}  (${entry.file ?? entry.section})`;
      return more.length === 0 ? `${head}  ${only}` : [head, only, ...more].join('\n      ');
    });
    section(lines, 'new data', data.new, (entry) => `${entry.name}  (${entry.section})`);
    section(lines, 'ignored', ignored, (entry) => `${entry.name}  (${entry.class})`, FEW);
    if (object.ambiguous.length > 0)
      lines.push(
        '',
        `${plural(object.ambiguous.length, 'group')} of symbols cannot be told apart; none is refused unless a livepatch needs it (--json lists them)`,
      );
  }
  if (result.patch !== undefined) lines.push('', patchSummary(result.patch));
  const others = result.diagnostics.filter(({ severity }) => severity !== 'refusal');
  if (others.length > 0) append(lines, ['', ...renderGrouped(others)]);
  if (result.output !== null) {
    const { path, format, bytes, sha256, files } = result.output;
    const looked = result.objects.reduce((sum, { klpSymbols }) => sum + klpSymbols.length, 0);
    lines.push(
      '',
      `${path}: format ${format}, ${files === undefined ? '' : `${plural(files.length, 'object')}, `}${bytes} bytes, sha256 ${sha256}`,
      `  ${plural(looked, 'symbol')} of the running kernel by name and position (--json lists each with its evidence)`,
    );
  }
  if (result.evidence !== null) append(lines, ['', ...renderEvidence(result.evidence, result)]);
  const next = nextStep(result, typed);
  if (next !== undefined) lines.push('', `next: ${next}`);
  lines.push('', renderRun(result.run));
  return lines.join('\n');
}

/** Whether an object of a folder has anything to tell besides what counts for nothing. */
function hasFindings({ functions, data }: DiffResult['objects'][number]): boolean {
  return [functions.changed, functions.new, functions.removed, data.changed, data.new, data.removed].some(
    ({ length }) => length > 0,
  );
}

function section<T>(
  lines: string[],
  title: string,
  entries: readonly T[],
  render: (entry: T) => string,
  most = LONGEST,
): void {
  if (entries.length === 0) return;
  append(lines, ['', `${title} (${entries.length}):`, ...entries.slice(0, most).map((entry) => `  ${render(entry)}`)]);
  if (entries.length > most) lines.push(`  ... and ${entries.length - most} more`);
}

/** A module: what is in it and where it is, or why it was not written. */
export function renderLink({ module, objects, diagnostics, output }: LinkResult): string {
  const lines = objects.map(
    ({ path, name, functions, klpRelocations }) =>
      `${path}: ${name}, ${plural(functions, 'function')}, ${plural(klpRelocations, 'klp relocation')}`,
  );
  const refusals = diagnostics.filter(({ severity }) => severity === 'refusal' || severity === 'error');
  if (refusals.length > 0) append(lines, renderReasons(refusals));
  append(lines, renderGrouped(diagnostics.filter((found) => !refusals.includes(found))));
  if (output !== null) lines.push(`${output.path}: module ${module}, ${output.bytes} bytes, sha256 ${output.sha256}`);
  return lines.join('\n');
}

/** What ended a run: code, what happened, what to do. The message names the place. */
export function renderError({ code, message, hint }: Diagnostic): string {
  return `error ${code}: ${message}\n      ${hint}\n`;
}

/** Diagnostics of one code, in the order in which codes are first met: each with its place, at most so many, and the remedy once. */
function renderGrouped(diagnostics: readonly Diagnostic[]): string[] {
  return [...new Set(diagnostics.map(({ code }) => code))].flatMap((code) => {
    const same = diagnostics.filter((one) => one.code === code);
    const rest = same.length - LONGEST;
    return [
      ...same.slice(0, LONGEST).flatMap(renderDiagnostic),
      ...(rest > 0 ? [`  ... and ${rest} more of ${code} (--json lists all)`] : []),
      `      ${same[0]!.hint}`,
    ];
  });
}

/** Reasons against a livepatch, then what else is to be said. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[]): string[] {
  const reasons = diagnostics.filter(({ severity }) => severity === 'refusal' || severity === 'error');
  const others = diagnostics.filter((found) => !reasons.includes(found));
  return [...(reasons.length === 0 ? [] : renderReasons(reasons)), ...renderGrouped(others)];
}

function renderReasons(refusals: readonly Diagnostic[]): string[] {
  return ['', `refused, ${plural(refusals.length, 'reason')}:`, ...renderGrouped(refusals)];
}

function renderDiagnostic({ code, severity, message, where }: Diagnostic): string[] {
  const place = [
    where.object,
    where.section,
    where.symbol && `${where.symbol}${where.offset === undefined ? '' : `+0x${where.offset.toString(16)}`}`,
  ]
    .filter(Boolean)
    .join(' ');
  const head = severity === 'refusal' ? code : `${severity} ${code}`;
  return [`  ${head}: ${message}`, ...(place === '' ? [] : [`      at ${place}`])];
}

/** Where the time went. */
export function renderRun(run: RunReport): string {
  const stages = run.stages.map(
    ({ name, seconds, reused }) => `${name} ${seconds.toFixed(2)}${reused > 0 ? ` (${reused} reused)` : ''}`,
  );
  return `${run.seconds.toFixed(2)} s, ${Math.round(run.peakAnonBytes / 1e6)} MB, ${plural(run.workers, 'worker')}: ${stages.join(', ')}`;
}
