/**
 * What the kernel reads at a signed module's end (kernel/module/signing.c): a module that it would refuse is no livepatch, though modinfo shows it as signed. OpenSSL, which the
 * kernel's own sign-file is made with, is asked for the same signature, and to check it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { ModuleSigner } from '../../src/livepatch/signature';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const path = (name: string): string => join(folder, name);
const module = Buffer.from('the bytes of a module'.repeat(100));
const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
const absent = spawnSync('openssl', ['version']).error === undefined ? undefined : 'there is no openssl here';

const KEYS = { rsa: ['rsa:2048'], ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'] } as const;

beforeAll(() => {
  if (absent !== undefined) return;
  writeFileSync(path('module'), module);
  for (const [name, kind] of Object.entries(KEYS))
    openssl(
      'req',
      '-x509',
      '-newkey',
      ...kind,
      '-nodes',
      '-subj',
      `/O=klpflow/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
      '-days',
      '30',
    );
});

/** What stands behind the module, as the kernel takes it apart from the end. */
function parts(signed: Buffer): { module: Buffer; pkcs7: Buffer; info: Buffer } {
  const marker = '~Module signature appended~\n';
  expect(signed.subarray(-marker.length).toString()).toBe(marker);
  const info = signed.subarray(-marker.length - 12, -marker.length);
  const end = signed.length - marker.length - 12;
  const start = end - info.readUInt32BE(8);
  return { module: signed.subarray(0, start), pkcs7: signed.subarray(start, end), info };
}

const signer = (name: string): ModuleSigner =>
  ModuleSigner.of({ key: path(`${name}.key`), certificate: path(`${name}.crt`) });

/** OpenSSL's own word on a signature of this module. */
function accepted(pkcs7: Buffer, content: Buffer, certificate: string): boolean {
  writeFileSync(path('pkcs7'), pkcs7);
  writeFileSync(path('content'), content);
  const { status } = spawnSync(
    'openssl',
    [
      'cms',
      '-verify',
      '-inform',
      'DER',
      '-in',
      'pkcs7',
      '-content',
      'content',
      '-binary',
      '-certfile',
      certificate,
      '-nointern',
      '-noverify',
    ],
    { cwd: folder },
  );
  return status === 0;
}

test.for([
  ['rsa', undefined],
  ['rsa', 'sha512'],
  ['ec', 'sha384'],
] as const)('%s, %s: the module, its signature, and where that begins', ([name, hash], context) => {
  if (absent !== undefined) return context.skip(absent);
  const { module: own, pkcs7, info } = parts(signer(name).signed(module, hash));
  expect(own).toEqual(module);
  // algo, hash, signer and key id are the signature's own business: mod_check_sig() wants them 0, and 2 for PKCS#7.
  expect([...info.subarray(0, 8)]).toEqual([0, 0, 2, 0, 0, 0, 0, 0]);
  expect(accepted(pkcs7, module, `${name}.crt`)).toBe(true);
  expect(accepted(pkcs7, Buffer.concat([module, Buffer.from('!')]), `${name}.crt`)).toBe(false);
  expect(accepted(pkcs7, module, name === 'rsa' ? 'ec.crt' : 'rsa.crt')).toBe(false);
});

test('byte for byte what OpenSSL signs', (context) => {
  if (absent !== undefined) return context.skip(absent);
  const words = ['-binary', '-noattr', '-nocerts', '-nosmimecap', '-outform', 'DER', '-md', 'sha256'];
  const theirs = openssl('cms', '-sign', ...words, '-signer', 'rsa.crt', '-inkey', 'rsa.key', '-in', 'module');
  expect(parts(signer('rsa').signed(module, 'sha256')).pkcs7.toString('hex')).toBe(theirs.toString('hex'));
});

test('a key and a certificate that do not belong together, and what is neither, are told before anything is built', (context) => {
  if (absent !== undefined) return context.skip(absent);
  writeFileSync(path('empty'), '');
  for (const [key, certificate, says] of [
    ['rsa.key', 'ec.crt', /is the certificate of another key/],
    ['empty', 'rsa.crt', /is no private key/],
    ['rsa.key', 'module', /is no X\.509 certificate/],
  ] as const) {
    const wrong = (): ModuleSigner => ModuleSigner.of({ key: path(key), certificate: path(certificate) });
    expect(wrong).toThrow(KlpflowError);
    expect(wrong).toThrow(says);
  }
});
