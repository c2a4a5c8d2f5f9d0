export { CATALOGUE, diagnostic, isAllowable, isRefused } from './diagnostic';
export type { Diagnostic, DiagnosticCode, Severity, Where } from './diagnostic';
export { KlpflowError, diagnosticOf, fileError } from './error';
