import { diagnosticOf, type Diagnostic, type DiagnosticCode } from '../../diagnostics';
import { RunCommand } from './run-command';

/** The base of commands that stand in for objtool's: its way to report errors, and its exit codes. */
export abstract class ObjtoolCommand extends RunCommand {
  /** Exit code for a command line that is not understood. */
  protected readonly usageCode: number = 129;
  /** What messages start with: the object's path as it was typed. */
  protected objectName = '';

  protected override async catch(error: Error & { oclif?: { exit?: number }; parse?: unknown }): Promise<void> {
    if (error.oclif !== undefined || error.parse !== undefined) {
      await super.catch(error);
      process.exitCode = this.usageCode;
      return;
    }
    const found = diagnosticOf(error);
    this.tell(found);
    process.exitCode = found.code === 'interrupted' ? 130 : this.statusOf(found.code);
  }

  /** Exit code for what went wrong. */
  protected statusOf(_code: DiagnosticCode): number {
    return 255;
  }

  protected tell({ severity, code, message, hint }: Diagnostic): void {
    const kind = severity === 'error' || severity === 'refusal' ? 'error' : 'warning';
    process.stderr.write(`${this.objectName}: ${kind}: objtool: ${message}\n      ${code}: ${hint}\n`);
  }

  protected warning(message: string): void {
    process.stderr.write(`${this.objectName}: warning: objtool: ${message}\n`);
  }

  protected reportDebug(message: string): void {
    process.stderr.write(`DEBUG: ${this.objectName}: ${message}\n`);
  }
}
