import { CATALOGUE, KlpflowError, diagnostic, isAllowable, type Diagnostic } from '../diagnostics';

/** Checks `CODE` or `CODE:SYMBOL` against the catalogue. @throws KlpflowError `usage` */
export function checkAllowed(allow: readonly string[]): void {
  if (allow.length === 0) return;
  const allowable = Object.keys(CATALOGUE).filter(isAllowable).join(', ');
  for (const value of allow) {
    const [code = ''] = value.split(':');
    if (!Object.hasOwn(CATALOGUE, code))
      throw new KlpflowError(
        'usage',
        `--allow ${value}: there is no diagnostic ${code}; these can be allowed: ${allowable}`,
      );
    if (!isAllowable(code))
      throw new KlpflowError(
        'usage',
        `--allow ${value}: ${code} cannot be allowed, the livepatch would not work; these can: ${allowable}`,
      );
  }
}

/** Notes on what was allowed and not met: a misspelt symbol is no consent to anything. */
export function reportUnused(allow: readonly string[], found: readonly Diagnostic[]): Diagnostic[] {
  return [...new Set(allow)]
    .filter((value) => {
      const [code, symbol] = value.split(/:(.*)/);
      return !found.some((one) => one.code === code && (symbol === undefined || one.where.symbol === symbol));
    })
    .map((value) =>
      diagnostic(
        'unused-allow',
        `--allow ${value}: nothing of this code${value.includes(':') ? ' and symbol' : ''} was found`,
      ),
    );
}
