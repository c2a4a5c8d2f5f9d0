import type { Offset } from '../../elf';
import { diagnostic, type Diagnostic, type DiagnosticCode } from '../../diagnostics';

/** Collects what cannot go into a livepatch, each problem once, however many references meet it. */
export class Refusals {
  readonly diagnostics: Diagnostic[] = [];
  private readonly told = new Set<string>();

  constructor(private readonly objectName: string) {}

  /** `offset` is from the start of `from`. */
  add(code: DiagnosticCode, about: string, section: string, offset: Offset | undefined, message: string): void {
    const key = `${code}:${about}`;
    if (this.told.has(key)) return;
    this.told.add(key);
    this.diagnostics.push(
      diagnostic(code, message, {
        object: this.objectName,
        section,
        symbol: about,
        ...(offset === undefined ? {} : { offset }),
      }),
    );
  }
}
