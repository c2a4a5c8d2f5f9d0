/** A key that signs: a file of klpflow's own reading, or one that never leaves its token (PKCS#11), which openssl asks. */
import { spawnSync } from 'node:child_process';
import { createPrivateKey, sign, type KeyObject, type X509Certificate } from 'node:crypto';
import { KlpflowError } from '../diagnostics';
import { readWhole } from '../files/whole-file';

export interface PrivateKey {
  belongsTo(certificate: X509Certificate): boolean;
  sign(hash: string, content: Uint8Array): Buffer;
}

/** As the kernel's sign-file takes it: RFC 7512. */
export function isToken(key: string): boolean {
  return key.startsWith('pkcs11:');
}

/** @throws KlpflowError `unreadable`, `signing-key` */
export function privateKey(name: string): PrivateKey {
  return isToken(name) ? new TokenKey(name) : new FileKey(keyOf(name));
}

function keyOf(file: string): KeyObject {
  const pem = readWhole(file);
  const passphrase = process.env['KBUILD_SIGN_PIN'];
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch (cause) {
    throw keyRefused(file, `${file} is no private key in PEM: ${(cause as Error).message}`, cause);
  }
}

class FileKey implements PrivateKey {
  constructor(private readonly key: KeyObject) {}

  belongsTo(certificate: X509Certificate): boolean {
    return certificate.checkPrivateKey(this.key);
  }

  sign(hash: string, content: Uint8Array): Buffer {
    return sign(hash, content, this.key);
  }
}

/** A token that waits for a finger takes long. */
const TOKEN_MS = 120_000;

class TokenKey implements PrivateKey {
  constructor(private readonly uri: string) {}

  /** Only what it signs tells; whoever asks for a signature holds that against the certificate. */
  belongsTo(): boolean {
    return true;
  }

  /** @throws KlpflowError `signing-key` */
  sign(hash: string, content: Uint8Array): Buffer {
    const pin = process.env['KBUILD_SIGN_PIN'] === undefined ? [] : ['-passin', 'env:KBUILD_SIGN_PIN'];
    const { status, stdout, stderr, error } = spawnSync(
      'openssl',
      ['dgst', `-${hash}`, '-engine', 'pkcs11', '-keyform', 'engine', ...pin, '-sign', this.uri],
      { input: content, timeout: TOKEN_MS, maxBuffer: 1 << 20 },
    );
    if (status === 0 && stdout.length > 0) return stdout;
    const said = error?.message ?? stderr.toString().trim().split('\n').at(-1);
    throw keyRefused(tokenName(this.uri), `openssl cannot sign with ${tokenName(this.uri)}: ${said}`);
  }
}

/** Without a PIN that may stand in it. */
export function tokenName(uri: string): string {
  return uri.replace(/[;?&]?pin-(?:value|source)=[^;&]*/g, '');
}

export function keyRefused(path: string, message: string, cause?: unknown): KlpflowError {
  return new KlpflowError('signing-key', message, { object: path }, cause);
}
