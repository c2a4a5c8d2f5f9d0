export { CATALOGUE, diagnostic, isAllowable, isRefused } from './diagnostic';
export type { Diagnostic, DiagnosticCode, Severity, Where } from './diagnostic';
export { KlpflowError, diagnosticOf, fileError } from './error';
export {
  cannotWrite,
  emptyName,
  inputChanged,
  interrupted,
  noKernelGiven,
  notModule,
  notRegular,
  stripped,
  throwIfInterrupted,
} from './frequent';
