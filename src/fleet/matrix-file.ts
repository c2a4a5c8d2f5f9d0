/** The file that says which kernels and patches there are: YAML, held against the published schema, every complaint with its line and column. */
import { basename } from 'node:path';
import type { ErrorObject } from 'ajv';
import type { LineCounter, ParsedNode, Document } from 'yaml';
import { KlpflowError } from '../diagnostics';
import { nearest } from '../diagnostics/nearest';
import { readText } from '../files/whole-file';
import schema from '../../schemas/matrix-file.schema.json';

export interface KernelValues {
  labels?: string[];
  source?: string;
  kernel?: string;
  root?: string;
  config?: string;
  modules?: string;
  make?: string[];
  orig?: string;
  vmlinux?: string;
  symvers?: string;
  btf?: string;
  template?: string;
  ftrace?: string;
  'module-images'?: string[];
  signing?: { key: string; certificate: string; hash?: string };
}

export interface PatchValues {
  files?: string | string[];
  strip?: number;
  patched?: string;
  orig?: string;
  module?: string;
  only?: string[];
  except?: string[];
  allow?: string[];
  description?: string;
  replace?: boolean;
}

export interface MatrixValues {
  kernels: Array<KernelValues & { name: string }>;
  patches: Array<PatchValues & { name: string }>;
  defaults?: { kernel?: KernelValues; patch?: PatchValues };
}

/** Keys and indices from the top of the file. */
export type Path = ReadonlyArray<string | number>;

export interface MatrixFile {
  path: string;
  values: MatrixValues;
  /** Where a value stands: `fleet.yaml:12:5`. */
  place(path: Path): string;
}

/** @throws KlpflowError `malformed-matrix` with all complaints, `unreadable` */
export async function readMatrixFile(path: string, what: 'matrix' | 'kernels' = 'matrix'): Promise<MatrixFile> {
  const text = readText(path);
  const yaml = await import('yaml');
  const { Ajv2020 } = await import('ajv/dist/2020');
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const name = basename(path);
  if (document.errors.length > 0)
    throw malformed(
      path,
      document.errors.map(({ message, pos: [from] }) => `${at(name, lines, from)}: ${message}`),
    );
  const place = (of: Path): string => at(name, lines, offsetOf(document, of));
  let values: unknown;
  try {
    values = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw malformed(path, [`${name}:1:1: ${(cause as Error).message}`]);
  }
  const validate = new Ajv2020({ allErrors: true, verbose: true }).compile<MatrixValues>(
    what === 'matrix' ? schema : { ...schema, required: ['kernels'] },
  );
  if (!validate(values)) throw malformed(path, complaints(validate.errors ?? [], place));
  return { path, values: what === 'matrix' ? values : { ...values, patches: [] }, place };
}

/** More of them than anybody reads at once. */
const MOST = 20;

/** One error of all complaints. */
export function malformed(path: string, found: readonly string[]): KlpflowError {
  const shown = [...new Set(found)].slice(0, MOST);
  const more = found.length > MOST ? [`and ${found.length - MOST} more`] : [];
  return new KlpflowError(
    'malformed-matrix',
    shown.length === 1
      ? shown[0]!
      : `${path} is not a matrix:\n${[...shown, ...more].map((line) => `        ${line}`).join('\n')}`,
    { object: path },
  );
}

function at(name: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${name}:${Math.max(1, line)}:${Math.max(1, col)}`;
}

/** Of the nearest value above, where there is none at the path itself. */
function offsetOf(document: Document.Parsed<ParsedNode>, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const node = (length === 0 ? document.contents : document.getIn(path.slice(0, length), true)) as
      | ParsedNode
      | undefined;
    if (node?.range != null) return node.range[0];
  }
  return 0;
}

/** Where the key stands, for a complaint about the key itself. */
function complaints(errors: readonly ErrorObject[], place: (path: Path) => string): string[] {
  return errors.flatMap((error) => {
    const path = error.instancePath.split('/').slice(1).map(unescaped);
    const said = sentence(error, path);
    return said === undefined ? [] : [`${place(pathOf(error, path))}: ${said}`];
  });
}

const unescaped = (part: string): string | number =>
  /^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~');

function pathOf({ keyword, params }: ErrorObject, path: Path): Path {
  return keyword === 'additionalProperties'
    ? [...path, (params as { additionalProperty: string }).additionalProperty]
    : path;
}

function sentence({ keyword, params, message, data, parentSchema }: ErrorObject, path: Path): string | undefined {
  const what = path.length === 0 ? 'the file' : `${path.at(-1)}`;
  switch (keyword) {
    case 'additionalProperties': {
      const { additionalProperty: key } = params as { additionalProperty: string };
      const near = nearest(key, Object.keys((parentSchema?.['properties'] ?? {}) as object));
      return `there is no ${key} here${near === undefined ? '' : `; did you mean ${near}?`}`;
    }
    case 'required':
      return `${path.length === 0 ? 'the file' : path.join('.')} lacks ${(params as { missingProperty: string }).missingProperty}`;
    case 'type':
      return typeof data === 'number' && (params as { type: string }).type === 'string'
        ? `${what} is the number ${data}: put it in quotes, as it is meant`
        : `${what} ${message}`;
    case 'pattern':
      return `${what}: ${JSON.stringify(data)} does not have the form ${(params as { pattern: string }).pattern}`;
    case 'anyOf':
      return `${what} is a file's name or a list of them`;
    default:
      // The branches of anyOf tell nothing that it does not.
      return /\/anyOf\//.test(message ?? '') ? undefined : `${what} ${message}`;
  }
}
