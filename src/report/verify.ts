import type { Diagnostic } from '../diagnostics';
import type { VerifyResult } from '../index';
import { append } from '../lists';
import { plural } from './words';

/** A verification for people: the answer, what the module patches, findings by severity with one remedy a kind. */
export function renderVerification({ ok, module, diagnostics }: VerifyResult): string {
  const functions = module.objects.reduce((sum, object) => sum + object.functions.length, 0);
  const count = (severity: Diagnostic['severity']): Diagnostic[] =>
    diagnostics.filter((diagnostic) => diagnostic.severity === severity);
  const refused = [...count('error'), ...count('refusal')];
  const lines = [
    `${verdictOf({ ok, diagnostics })}  ${module.name || module.path}: ${plural(functions, 'function')} patched in ${plural(module.objects.length, 'object')}, ${plural(module.klpSymbols, 'klp symbol')}, ` +
      `${plural(module.relocations.livepatch + module.relocations.ordinary, 'relocation')}, ${module.relocations.livepatch} of them klp${module.signed ? ', signed' : ''}`,
  ];
  for (const { name, functions: patched } of module.objects)
    for (const { name: old, sympos, replacement } of patched)
      lines.push(`  ${name}: ${old}${sympos === 0 ? '' : `,${sympos}`} -> ${replacement ?? '?'}`);
  for (const [title, list] of [
    ['found', refused],
    ['warnings', count('warning')],
    ['not checked', count('note')],
  ] as const) {
    if (list.length === 0) continue;
    lines.push('', `${title} (${list.length}):`);
    for (const code of new Set(list.map((diagnostic) => diagnostic.code))) {
      const same = list.filter((diagnostic) => diagnostic.code === code);
      append(
        lines,
        same.map(({ message, where }) => `  ${code}: ${message}${place(where)}`),
      );
      lines.push(`      ${same[0]!.hint}`);
    }
  }
  return lines.join('\n');
}

/** Good is only what everything was checked of: a flipped byte of code is found with the objects at hand, and not without. */
function verdictOf({ ok, diagnostics }: Pick<VerifyResult, 'ok' | 'diagnostics'>): string {
  if (!ok) return 'REFUSED';
  return isComplete({ diagnostics }) ? 'FINE' : 'INCOMPLETE';
}

/** Whether nothing was left out for want of a file. */
export function isComplete({ diagnostics }: Pick<VerifyResult, 'diagnostics'>): boolean {
  return diagnostics.every(({ code }) => code !== 'verify-not-checked');
}

/** The symbol, where the message has only the section. */
function place({ symbol, offset }: Diagnostic['where']): string {
  return symbol === undefined || offset === undefined
    ? ''
    : `  [${symbol}${offset === 0 ? '' : `+0x${offset.toString(16)}`}]`;
}
