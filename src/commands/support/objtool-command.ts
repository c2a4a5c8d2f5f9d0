import { diagnosticOf, type DiagnosticCode } from '../../diagnostics';
import { BaseCommand } from './base-command';

/** The base of commands that stand in for objtool's: its way to report errors, and its exit codes. */
export abstract class ObjtoolCommand extends BaseCommand {
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
    const { code, message, hint } = diagnosticOf(error);
    process.stderr.write(`${this.objectName}: error: objtool: ${message}\n      ${code}: ${hint}\n`);
    process.exitCode = code === 'interrupted' ? 130 : this.statusOf(code);
  }

  /** Exit code for what went wrong. */
  protected statusOf(_code: DiagnosticCode): number {
    return 255;
  }

  protected warning(message: string): void {
    process.stderr.write(`${this.objectName}: warning: objtool: ${message}\n`);
  }
}
