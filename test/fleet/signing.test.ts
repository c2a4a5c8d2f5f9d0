/**
 * Modules of a matrix are signed where they are received. Guarded against: a key, or a name of one, that goes to the store or the queue; a matrix that is done and only then found
 * to have no key; another module than the verified one under a signature.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import type { MatrixCheck, MatrixResult } from '../../src/index';
import { ModuleSigner } from '../../src/livepatch/signature';
import { KERNELS, kernelFiles, pairsOf, skipWithout, unavailable, unpack } from '../support/corpus';
import { running, type Ran } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const kernel = KERNELS[0]!;
const MARKER = '~Module signature appended~\n';
const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

function request(name: string): void {
  const names = ['-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...names);
}

beforeAll(() => {
  request('release');
  request('other');
});

const matrix = (file: string, out: string, ...more: string[]): Promise<Ran> =>
  running(['matrix', file, '-o', out, '--run-dir', 'runs', '--json', '--progress', 'none', ...more], { cwd: folder });
const parsed = <T>({ stdout, stderr }: Ran): T => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as T;
};

test('a module is the one that was verified, with a signature that openssl accepts; the store knows of no key', async (context) => {
  skipWithout(context, unavailable(kernel, true));
  const { orig, patched } = unpack(kernel, pairsOf(kernel)[0]!);
  const { symvers, vmlinux, btf, template } = kernelFiles(kernel);
  const file = (signing: string): string =>
    [
      'kernels:',
      `  - { name: k, orig: ${orig}, symvers: ${symvers}, vmlinux: ${vmlinux}, btf: ${btf}, template: ${template}${signing} }`,
      'patches:',
      `  - { name: fix, patched: ${patched} }`,
      '',
    ].join('\n');
  writeFileSync(join(folder, 'plain.yaml'), file(''));
  writeFileSync(
    join(folder, 'signed.yaml'),
    file(', signing: { key: release.key, certificate: release.crt, hash: sha512 }'),
  );
  const plain = parsed<MatrixResult>(await matrix('plain.yaml', 'plain', '--store', 'store'));
  expect(plain.cells[0]).toMatchObject({ verdict: 'patchable', signedBy: null });
  // Where it was made is not in it: neither its folder nor its process.
  const signed = parsed<MatrixResult>(await matrix('signed.yaml', 'signed', '--store', 'store'));
  // The same job: a signature is none of its inputs.
  expect(signed.run.cells[0]!.seconds).toBeNull();
  expect(signed.cells[0]).toMatchObject({ job: plain.cells[0]!.job, signedBy: 'CN=release' });
  const [before, after] = ['plain', 'signed'].map((out) => readFileSync(join(folder, out, 'k/livepatch-fix.ko')));
  expect(after!.subarray(0, before!.length)).toEqual(before);
  expect(after!.subarray(-MARKER.length).toString()).toBe(MARKER);
  writeFileSync(join(folder, 'pkcs7'), after!.subarray(before!.length, -MARKER.length - 12));
  writeFileSync(join(folder, 'content'), before!);
  const words = ['-binary', '-certfile', 'release.crt', '-nointern', '-noverify'];
  openssl('cms', '-verify', '-inform', 'DER', '-in', 'pkcs7', '-content', 'content', ...words);
  for (const name of readdirSync(join(folder, 'store'), { recursive: true, encoding: 'utf8' }).filter((one) =>
    /\.json$/.test(one),
  ))
    expect(readFileSync(join(folder, 'store', name), 'utf8')).not.toMatch(/release\.(?:key|crt)|PRIVATE|jobs\//);
  expect(readFileSync(join(folder, 'signed/index.html'), 'utf8')).toContain('signed by CN=release');
});

test('a key that is missing, or of another certificate, is told of each of its cells before anything is done', async () => {
  mkdirSync(join(folder, 'o'));
  for (const name of ['a.o', 'b.o']) writeFileSync(join(folder, 'o', name), 'no object');
  const kernels = [
    '{ name: absent, orig: o/a.o, signing: { key: absent.key, certificate: release.crt } }',
    '{ name: mixed, orig: o/a.o, signing: { key: other.key, certificate: release.crt } }',
    '{ name: good, orig: o/a.o }',
  ];
  writeFileSync(
    join(folder, 'keys.yaml'),
    ['kernels:', ...kernels.map((one) => `  - ${one}`), 'patches:', '  - { name: p, patched: o/b.o }', ''].join('\n'),
  );
  const { missing } = parsed<MatrixCheck>(await matrix('keys.yaml', 'never', '--check'));
  expect(missing.map(({ kernel: of, diagnostics }) => [of, ...diagnostics.map(({ code }) => code)])).toEqual([
    ['absent', 'unreadable'],
    ['mixed', 'signing-key'],
  ]);
  expect(existsSync(join(folder, 'runs/objects/never'))).toBe(false);
});

const HSM = ['/usr/lib/softhsm/libsofthsm2.so'].find((path) => existsSync(path));
const engine = spawnSync('openssl', ['engine', 'pkcs11', '-t'], { encoding: 'utf8' }).stdout?.includes('[ available ]');

test.skipIf(HSM === undefined || engine !== true)(
  'a key that does not leave its token signs, too (softhsm2, libengine-pkcs11-openssl)',
  () => {
    const home = join(folder, 'hsm');
    mkdirSync(join(home, 'tokens'), { recursive: true });
    writeFileSync(join(home, 'softhsm2.conf'), `directories.tokendir = ${home}/tokens\nobjectstore.backend = file\n`);
    vi.stubEnv('SOFTHSM2_CONF', join(home, 'softhsm2.conf'));
    vi.stubEnv('PKCS11_MODULE_PATH', HSM!);
    vi.stubEnv('KBUILD_SIGN_PIN', '1234');
    const util = (...args: string[]): void => void execFileSync('softhsm2-util', args, { cwd: folder, stdio: 'pipe' });
    openssl('pkcs8', '-topk8', '-in', 'release.key', '-nocrypt', '-out', 'release.p8');
    util('--init-token', '--free', '--label', 'fleet', '--pin', '1234', '--so-pin', '5678');
    util('--import', 'release.p8', '--token', 'fleet', '--label', 'release', '--id', '01', '--pin', '1234');
    const key = 'pkcs11:token=fleet;object=release;type=private';
    const module = Buffer.from('a module'.repeat(1000));
    const [token, file] = [key, join(folder, 'release.key')].map((one) => {
      // A key in the open takes no passphrase.
      if (one !== key) delete process.env['KBUILD_SIGN_PIN'];
      return ModuleSigner.of({ key: one, certificate: join(folder, 'release.crt') }).signed(module, 'sha256');
    });
    expect(token).toEqual(file);
    vi.stubEnv('KBUILD_SIGN_PIN', '1234');
    const of =
      (uri: string, certificate: string): (() => unknown) =>
      () =>
        ModuleSigner.of({ key: uri, certificate: join(folder, certificate) });
    expect(of(key, 'other.crt')).toThrow(/is the certificate of another key than pkcs11:token=fleet/);
    expect(of(`${key.replace('release', 'gone')}?pin-value=9999`, 'release.crt')).toThrow(
      /^openssl cannot sign with pkcs11:token=fleet;object=gone;type=private: (?!.*9999)/,
    );
  },
);
