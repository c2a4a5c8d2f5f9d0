import type { DiagnosticPage } from '../diagnostics/page';

/** What a diagnostic means, for a terminal. */
export function renderPage({ code, effect, cause, example, remedy }: DiagnosticPage): string {
  return [code, `  ${effect}`, '', `  ${cause}`, '', `  for example: ${example}`, '', `  ${remedy}`].join('\n');
}
