/**
 * `schemas/`: what every command's `--json` prints, as JSON Schema made from the types of the results. That of `diff` is written by hand, with words on
 * each field. Run as a program, it writes the files.
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { createGenerator } from 'ts-json-schema-generator';
import { replace, root } from './bundle.mjs';

/** The type of each command's result. */
const RESULTS = {
  build: 'BuildResult',
  compare: 'CompareResult',
  correlate: 'CorrelateResult',
  doctor: 'DoctorResult',
  explain: 'ExplainResult',
  link: 'LinkResult',
  matrix: 'MatrixAnswer',
  report: 'ReportResult',
  runs: 'RunListing',
  scan: 'ScanResult',
  shape: 'Shape',
  status: 'StatusResult',
  synth: 'Manifest',
  verify: 'VerifyResult',
  wrappers: 'WrappersResult',
  worker: 'WorkerResult',
};

/** File names below `schemas/` and their texts. */
export function schemas() {
  const generator = createGenerator({
    path: path.join(root, 'src/{index,synth/index,commands/*,commands/support/base-command}.ts'),
    tsconfig: path.join(root, 'tsconfig.json'),
    // Fields may be added within a version.
    additionalProperties: true,
    skipTypeCheck: true,
    expose: 'export',
    topRef: true,
  });
  const of = (type) => generator.createSchema(type).definitions;
  return Object.fromEntries(
    Object.entries(RESULTS).map(([command, type]) => {
      const definitions = { ...of(type), ...of('ErrorResult') };
      // Codes may be added, too.
      if (definitions.DiagnosticCode !== undefined)
        definitions.DiagnosticCode = { type: 'string', description: 'A code of docs/diagnostics.md.' };
      const schema = {
        $schema: 'http://json-schema.org/draft-07/schema#',
        $id: `urn:klpflow:${command}:1`,
        title: `klpflow ${command} --json`,
        oneOf: [{ $ref: `#/definitions/${type}` }, { $ref: '#/definitions/ErrorResult' }],
        definitions: Object.fromEntries(Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1))),
      };
      return [`${command}.schema.json`, `${JSON.stringify(schema, null, 2)}\n`];
    }),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  for (const [name, text] of Object.entries(schemas())) replace(path.join(root, 'schemas', name), Buffer.from(text));
