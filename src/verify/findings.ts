import { diagnostic, type Diagnostic, type DiagnosticCode } from '../diagnostics';
import { isPrefixName, type Module, type ModuleSection, type ModuleSymbol } from './module';

export type FindingCode = Extract<DiagnosticCode, `verify-${string}`>;

/** A place in the module: bytes from a section's start, or a symbol that has no place. */
export type Place = { section: ModuleSection; offset?: number } | { symbol: ModuleSymbol } | undefined;

/** What was found, in the order of the checks. */
export class Findings {
  readonly diagnostics: Diagnostic[] = [];

  constructor(private readonly module: Module) {}

  add(code: FindingCode, place: Place, message: string): void {
    const { path } = this.module;
    if (place === undefined) {
      this.diagnostics.push(diagnostic(code, message, { object: path }));
      return;
    }
    if ('symbol' in place) {
      this.diagnostics.push(diagnostic(code, message, { object: path, symbol: place.symbol.name }));
      return;
    }
    const { section, offset } = place;
    if (offset === undefined) {
      this.diagnostics.push(diagnostic(code, `${section.name}: ${message}`, { object: path, section: section.name }));
      return;
    }
    const symbol = this.covering(section, offset);
    const where = symbol === undefined ? { offset } : { symbol: symbol.name, offset: offset - symbol.value };
    this.diagnostics.push(
      diagnostic(code, `${section.name}+0x${offset.toString(16)}: ${message}`, {
        object: path,
        section: section.name,
        ...where,
      }),
    );
  }

  /** The sized symbol that a place lies in: a function rather than the padding before it. */
  private covering(section: ModuleSection, offset: number): ModuleSymbol | undefined {
    const covers = this.module.covering(section, offset);
    return covers.find(({ name }) => !isPrefixName(name)) ?? covers[0];
  }
}

export const hex = (value: number): string => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);
/** `+0x10` or `-0x10`. */
export const signed = (value: number): string => (value < 0 ? hex(value) : `+${hex(value)}`);
