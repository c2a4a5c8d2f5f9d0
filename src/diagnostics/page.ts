import { CAUSES } from './causes';
import { CATALOGUE, isAllowable, type DiagnosticCode, type Severity } from './diagnostic';

const SEVERITIES: Readonly<Record<Severity, string>> = {
  error: 'error: the run ends',
  refusal: 'refusal: no livepatch is written',
  warning: 'warning: nothing changes',
  note: 'note',
};

/** All there is to say of a code: what it does to a run, why it is told, an example, the remedy. */
export interface DiagnosticPage {
  code: DiagnosticCode;
  severity: Severity;
  effect: string;
  cause: string;
  example: string;
  remedy: string;
}

/** Undefined for what is no code. */
export function diagnosticPage(text: string): DiagnosticPage | undefined {
  if (!Object.hasOwn(CATALOGUE, text)) return undefined;
  const code = text as DiagnosticCode;
  const { severity, hint } = CATALOGUE[code];
  const [cause, example] = CAUSES[code];
  const effect = `${SEVERITIES[severity]}${isAllowable(code) ? `; --allow ${code} makes it a warning` : ''}`;
  return { code, severity, effect, cause, example, remedy: hint };
}

/** docs/diagnostics.md. */
export function diagnosticsDocument(): string {
  const pages = Object.keys(CATALOGUE).map((code) => diagnosticPage(code)!);
  return [
    '# Diagnostics',
    '',
    'A section for each code that klpflow tells, written from its catalogue (`npm run surface`). `klpflow explain CODE` prints one.',
    ...pages.flatMap(({ code, effect, cause, example, remedy }) => [
      '',
      `## ${code}`,
      '',
      `*${effect}*`,
      '',
      cause,
      '',
      '```',
      example,
      '```',
      '',
      remedy,
    ]),
    '',
  ].join('\n');
}
