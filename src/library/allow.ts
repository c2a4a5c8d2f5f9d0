import { CATALOGUE, KlpflowError, isAllowable } from '../diagnostics';

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
